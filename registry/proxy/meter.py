"""What a cache tells of its work, and of that of the client of upstreams, to whoever counts."""

from __future__ import annotations

from typing import Protocol

from registry.upstream import meter as upstreams


class Meter(Protocol):
    """Counts for all upstreams; called from any thread, and raises nothing. A `kind` is "blob" or "manifest"."""

    def served(self, kind: str, size: int, *, hit: bool) -> None:
        """Count what a client gets, of so many bytes; `hit` says that it was here already."""

    def pulled(self, kind: str, size: int) -> None:
        """Count bytes that came from an upstream."""

    def fill_began(self, upstream: str) -> None:
        """Count a blob that is being fetched, or read along with another process."""

    def fill_ended(self, upstream: str, outcome: str) -> None:
        """Count its end; `outcome` is stored, failed or uncached."""

    def followed(self, upstream: str, clients: int) -> None:
        """Take note that so many more clients, or less, read a blob while it comes."""

    def stale(self, upstream: str) -> None:
        """Count an answer from here that the upstream, which failed, was to confirm."""


class ProxyMeter(Meter, upstreams.Meter, Protocol):
    """Counts what the client of upstreams tells, too."""


class NoMeter:
    """A Meter that counts nothing."""

    def served(self, kind: str, size: int, *, hit: bool) -> None:
        """Count nothing."""

    def pulled(self, kind: str, size: int) -> None:
        """Count nothing."""

    def fill_began(self, upstream: str) -> None:
        """Count nothing."""

    def fill_ended(self, upstream: str, outcome: str) -> None:
        """Count nothing."""

    def followed(self, upstream: str, clients: int) -> None:
        """Count nothing."""

    def stale(self, upstream: str) -> None:
        """Count nothing."""
