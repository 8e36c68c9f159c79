"""What is kept in the directory ``http.tls.letsencrypt.cachefile``: it survives restarts, and hosts may share it."""

from __future__ import annotations

import fcntl
import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.foundation.files import replace_private_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many orders have failed in a row, and before when, in seconds since 1970, there must be no other."""

    failed: int = 0
    not_before: float = 0.0


class Store:
    """The files in the directory; each is replaced whole and durably, so no reader ever sees half of one.

    Keys are among them: whatever mode a file had, and wherever a link led, what is written is the registry's alone.
    """

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._names = self._directory / "names"
        self.certificate = self._directory / "registry.pem"
        """The private key, the certificate and its chain, in one file."""

    def create(self) -> None:
        """Make the directory, for the registry alone to read.

        Raises:
            OSError: it cannot be made.
        """
        for directory in (self._directory, self._names):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def certificate_of(self, name: str) -> Path:
        """Return the file of key, certificate and chain: for the host `name`, or if it is "" for those configured."""
        return self._names / f"{name}.pem" if name else self.certificate

    def names(self) -> list[str]:
        """Return the hosts that have a certificate of their own."""
        return sorted(path.stem for path in self._names.glob("*.pem"))

    def forget(self, name: str) -> None:
        """Drop what is kept for the one host `name`."""
        for ending in ("pem", "json"):
            (self._names / f"{name}.{ending}").unlink(missing_ok=True)

    def forget_failures(self, *, most: int) -> None:
        """Keep the attempts of at most `most` hosts without a certificate, those that were made last."""
        failed = [path for path in self._names.glob("*.json") if not path.with_suffix(".pem").exists()]
        for path in sorted(failed, key=lambda each: each.stat().st_mtime)[: max(len(failed) - most, 0)]:
            path.unlink(missing_ok=True)

    def orders(self) -> list[float]:
        """Return when certificates were last ordered for names that clients have asked for, in seconds since 1970."""
        try:
            return [float(each) for each in json.loads(self._read("orders.json") or b"[]")]
        except (ValueError, TypeError):
            return []

    def write_orders(self, orders: list[float]) -> None:
        """Keep when certificates were last ordered."""
        self._write("orders.json", json.dumps(orders).encode())

    def write_certificate(self, pem: bytes, name: str = "") -> None:
        """Replace key and certificate; `name` is as for certificate_of()."""
        replace_private_file(str(self.certificate_of(name)), pem)

    def account_key(self) -> bytes | None:
        """Return the key of the account in PEM, or None before there is one."""
        return self._read("account.key")

    def write_account_key(self, pem: bytes) -> None:
        """Keep the key of the account."""
        self._write("account.key", pem)

    def attempts(self, name: str = "") -> Attempts:
        """Return how the last orders went; `name` is as for certificate_of()."""
        content = self._read(_attempts(name))
        try:
            return Attempts(**json.loads(content)) if content else Attempts()
        except (ValueError, TypeError):
            return Attempts()

    def write_attempts(self, attempts: Attempts, name: str = "") -> None:
        """Keep how the last orders went."""
        self._write(_attempts(name), json.dumps(asdict(attempts)).encode())

    def challenge(self, token: str) -> bytes | None:
        """Return what the ACME server is to be told when it asks for `token`, or None."""
        return self._read(f"challenge-{token}") if _TOKEN.fullmatch(token) else None

    @contextmanager
    def answering(self, token: str, validation: bytes) -> Iterator[None]:
        """Have all hosts answer the challenge `token` while the block lasts."""
        self._write(f"challenge-{token}", validation)
        try:
            yield
        finally:
            (self._directory / f"challenge-{token}").unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Give True if no other thread of any process of any host that shares the directory is in such a block."""
        with (self._directory / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        replace_private_file(str(self._directory / name), content)


def _attempts(name: str) -> str:
    return f"names/{name}.json" if name else "attempts.json"
