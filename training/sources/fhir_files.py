"""Files of a FHIR export, resource by resource: NDJSON of a bulk export, and Bundles.

NDJSON is read line by line. A Bundle is one JSON document, which is held in memory while it is
read: export many patients as NDJSON, or as one Bundle each.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from data_schema.errors import DataError, UsageError
from data_schema.fhir.resources import Entry, FhirBroken, Resource, entries_of

__all__ = ["StoredResources", "entries_in", "resource_files"]

_LINES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
_DOCUMENTS = (".json", ".json.gz")
_TYPE = re.compile(rb'"resourceType"\s*:\s*"(\w+)"')


def resource_files(source: Path) -> tuple[Path, ...]:
    """Return the files of an export in order of their names: of a folder, or the one file.

    Raises
    ------
    UsageError
        If there is none.
    """
    if source.is_dir():
        found = sorted(path for path in source.rglob("*") if path.is_file())
    else:
        found = [source] if source.is_file() else []
    files = tuple(path for path in found if path.name.casefold().endswith(_LINES + _DOCUMENTS))
    if not files:
        raise UsageError(
            f"source must hold .ndjson or .json files, or be one; {source} does not. Give the "
            "folder of a FHIR bulk export."
        )
    return files


def entries_in(path: Path, kinds: Collection[str] = ()) -> Iterator[Entry]:
    """Yield the resources of one file, with no more than a line or a Bundle in memory.

    `kinds` are the types that are needed; lines that mention none of them are passed over unread.
    A resource without a type is yielded like any other.

    Raises
    ------
    DataError
        If a line, or the document, is not a JSON object.
    """
    with _opened(path) as stream:
        if path.name.casefold().endswith(_DOCUMENTS):
            yield from _flat(_parsed(stream.read(), path, None), path.name)
            return
        wanted = {kind.encode() for kind in kinds} | {b"Bundle"}
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            if kinds and wanted.isdisjoint(_TYPE.findall(line)):
                continue
            yield from _flat(_parsed(line, path, number), f"{path.name}:{number}")


def _opened(path: Path) -> IO[bytes]:
    if path.name.casefold().endswith(".gz"):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def _parsed(content: bytes, path: Path, line: int | None) -> Resource:
    try:
        # "utf-8-sig" also reads a file that begins with a byte order mark.
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    where = path.name if line is None else f"line {line} of {path.name}"
    raise DataError(
        f"{where} must be one JSON object. A file that ends early loses patients: export it again."
    )


def _flat(document: Resource, where: str) -> Iterator[Entry]:
    """Yield the resources of a Bundle, or a resource by itself."""
    if document.get("resourceType") != "Bundle":
        yield Entry(document, where)
        return
    try:
        entries = entries_of(document, where)
    except FhirBroken as error:
        raise DataError(str(error)) from None
    for entry in entries:
        if entry.kind == "Bundle":
            yield from _flat(entry.resource, entry.expression)
        else:
            yield entry


class StoredResources(Mapping[str, Resource]):
    """Resources by reference, on disk, so that their number does not matter.

    It is what the reading rules take where they look a Specimen or a Medication up.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE resource (reference TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID"
        )
        self._body = lru_cache(maxsize=10_000)(self._stored_body)

    def store(self, reference: str, resource: Resource) -> None:
        """Store a resource under a reference; a later one replaces an earlier one."""
        self._database.execute(
            "INSERT OR REPLACE INTO resource VALUES (?, ?)", (reference, json.dumps(resource))
        )
        self._body.cache_clear()

    def __getitem__(self, reference: str) -> Resource:
        body = self._body(reference)
        if body is None:
            raise KeyError(reference)
        return cast("Resource", json.loads(body))

    def __iter__(self) -> Iterator[str]:
        for (reference,) in self._database.execute("SELECT reference FROM resource"):
            yield reference

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM resource").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _stored_body(self, reference: str) -> str | None:
        row = self._database.execute(
            "SELECT body FROM resource WHERE reference = ?", (reference,)
        ).fetchone()
        return None if row is None else str(row[0])
