"""Certificates for tests: of a server on this machine, and of clients that an authority signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certificate(folder: Path, key: Key | None = None) -> tuple[Path, Path]:
    """Write a certificate of 127.0.0.1 and its key, and return both files."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = _name("osteon.test")
    made = (
        _builder(name, name, key)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return _written(folder, "certificate", "key", made, key)


@dataclass(frozen=True)
class Authority:
    """An authority that signs the certificates of clients; `pem` is its own."""

    pem: Path
    key: Key
    name: x509.Name

    def client(self, folder: Path, common_name: str, *, days: int = 1) -> tuple[Path, Path]:
        """Write a certificate of a client, valid for some days, and its key; return both files."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(_name(common_name), self.name, key, days=days)
        made = built.sign(self.key, hashes.SHA256())
        return _written(folder, f"{common_name}-certificate", f"{common_name}-key", made, key)


def authority(folder: Path) -> Authority:
    """Write the certificate of a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("An authority of the tests")
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    made = _builder(name, name, key).add_extension(constraints, critical=True)
    pem, _ = _written(folder, "authority", "authority-key", made.sign(key, hashes.SHA256()), key)
    return Authority(pem, key, name)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, *, days: int = 1
) -> x509.CertificateBuilder:
    moment = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=moment - timedelta(days=2),
        not_valid_after=moment + timedelta(days=days),
    )


def _written(
    folder: Path, pem: str, key_name: str, made: x509.Certificate, key: Key
) -> tuple[Path, Path]:
    (folder / f"{pem}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{key_name}.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / f"{pem}.pem", folder / f"{key_name}.pem"
