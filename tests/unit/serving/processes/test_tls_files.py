from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from certificates import certificate
from data_schema.errors import UsageError
from serving.processes.tls_files import TlsFiles, check_tls


def shown(context: ssl.SSLContext) -> bytes:
    """Return the certificate that a server with this context shows to a client."""
    ours, theirs = socket.socketpair()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    server = threading.Thread(target=lambda: context.wrap_socket(theirs, server_side=True).close())
    server.start()
    with trusting.wrap_socket(ours) as client:
        seen = client.getpeercert(binary_form=True)
    server.join()
    assert seen is not None
    return seen


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path)


@pytest.fixture
def context(pair: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


def renew(files: TlsFiles) -> None:
    """Look for new files once, in a thread: browser tests leave an event loop in the main one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(files.renew())).result()


def test_a_renewed_certificate_is_shown_to_new_connections(
    context: ssl.SSLContext, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    files, before = TlsFiles(context, *pair), shown(context)
    renew(files)
    assert shown(context) == before
    certificate(tmp_path)
    renew(files)
    assert shown(context) not in (before, b"")


def test_half_a_renewal_changes_nothing_until_the_pair_is_whole(
    context: ssl.SSLContext, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    files, before = TlsFiles(context, *pair), shown(context)
    (tmp_path / "new").mkdir()
    renewed = certificate(tmp_path / "new")
    for old, new in zip(pair, renewed, strict=True):
        assert shown(context) == before
        old.write_bytes(new.read_bytes())
        renew(files)
    assert shown(context) != before


def test_a_file_that_is_missing_for_a_while_changes_nothing(
    context: ssl.SSLContext, pair: tuple[Path, Path]
) -> None:
    files, before = TlsFiles(context, *pair), shown(context)
    pair[0].rename(pair[0].with_suffix(".old"))
    renew(files)
    assert shown(context) == before


def test_two_files_that_are_no_pair_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    check_tls(*pair)
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="must be readable PEM files of one pair"):
        check_tls(pair[0], certificate(tmp_path / "other")[1])
