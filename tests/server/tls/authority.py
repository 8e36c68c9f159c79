"""Certificate authorities and what they issue, made by the tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

HOST = "registry.example.com"
NAMES = (HOST, "localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key, in files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with its certificate in a file; what it issues lies beside."""

    directory: Path
    authority: trustme.CA

    @staticmethod
    def create(directory: Path, parent: Authority | None = None) -> Authority:
        """Make one of its own, or one that `parent` signs: an intermediate."""
        directory.mkdir(parents=True, exist_ok=True)
        made = Authority(directory, parent.authority.create_child_ca() if parent else trustme.CA())
        made.authority.cert_pem.write_to_path(made.path)
        return made

    @property
    def path(self) -> Path:
        return self.directory / "ca.crt"

    def issue(self, name: str, *, expired: bool = False, not_after: datetime | None = None) -> Pair:
        """Write ``name.crt`` and ``name.key``, good for a server of NAMES and for a client alike."""
        pair = Pair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        not_after = datetime.now(UTC) - timedelta(days=1) if expired else not_after
        issued = self.authority.issue_cert(*NAMES, common_name=name, not_after=not_after)
        pair.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(pair.key)
        return pair

    def serving_context(self, name: str, *, expired: bool = False) -> ssl.SSLContext:
        """Give the context of a server with what issue() gives it."""
        pair = self.issue(name, expired=expired)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        return context

    def trusting_client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Give the context of a client that trusts this authority, and presents `pair` if there is one."""
        context = ssl.create_default_context(cafile=str(self.path))
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        return context


def of_version_5(certificate: bytes) -> bytes:
    """Return the first certificate of a PEM file with a version that does not exist; OpenSSL serves it nevertheless."""
    der = ssl.PEM_cert_to_DER_cert(certificate.decode().partition("-----END")[0] + ssl.PEM_FOOTER)
    version = b"\xa0\x03\x02\x01"  # [0] EXPLICIT INTEGER, the first field of all (RFC 5280 section 4.1)
    return ssl.DER_cert_to_PEM_cert(der.replace(version + b"\x02", version + b"\x04", 1)).encode()
