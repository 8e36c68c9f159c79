"""The networks of Amazon's services, as Amazon publishes them, and whether an address is in one."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_network
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.fetching import fetch
from registry.foundation.forwarded import read_address

if TYPE_CHECKING:
    from collections.abc import Iterable

_LISTS: Final = (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix"))
_TIMEOUT_SECONDS: Final = 30
_LARGEST_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes; it had two million when this was written."""

_LONGEST_PAUSE_SECONDS: Final = 60.0
"""The longest wait after a failure; the last document stays in force."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spans:
    """Addresses of one version as numbers: sorted spans that do not overlap, the last address of each included."""

    firsts: tuple[int, ...] = ()
    lasts: tuple[int, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[Any]) -> Spans:
        """Return what `networks`, all of one version, cover."""
        merged: list[Any] = [*collapse_addresses(networks)]
        return cls(
            tuple(int(network.network_address) for network in merged),
            tuple(int(network.broadcast_address) for network in merged),
        )

    def cover(self, address: int) -> bool:
        """Tell whether `address` is in one of the spans."""
        index = bisect_right(self.firsts, address) - 1
        return index >= 0 and address <= self.lasts[index]


class AwsNetworks:
    """The networks of `regions`, or of all without any, as the document at `url` has them; shared by all threads.

    A question reads it anew, in the background, once it is older than `update_seconds`. Until then the last document
    answers, and before there is one, no address is in a network.
    """

    def __init__(self, url: str, update_seconds: float, regions: frozenset[str]) -> None:
        self._url = url
        self._update_seconds = update_seconds
        self._regions = regions
        self._spans = {4: Spans(), 6: Spans()}
        self._lock = threading.Lock()
        self._due = time.monotonic()

    def contain(self, client: str) -> bool:
        """Tell whether `client` is an address that is known to be in one of the networks."""
        if time.monotonic() >= self._due:
            self._begin_refresh()
        address = read_address(client)
        return address is not None and self._spans[address.version].cover(int(address))

    def _begin_refresh(self) -> None:
        with self._lock:
            if time.monotonic() < self._due:  # another thread has begun, or is done
                return
            self._due = math.inf
        try:
            threading.Thread(target=self._refresh, name="aws-networks", daemon=True).start()
        except RuntimeError:  # no more threads: a GET is served all the same
            self._due = time.monotonic() + _LONGEST_PAUSE_SECONDS

    def _refresh(self) -> None:
        pause = min(self._update_seconds, _LONGEST_PAUSE_SECONDS)
        try:
            self._spans = self._read()
            pause = self._update_seconds
        except Exception as error:  # noqa: BLE001  a document from elsewhere, and the last one stays in force
            _log.warning("cloudfront: iprangesurl %s: %s; again in %.0f s", self._url, error, pause)
        finally:
            self._due = time.monotonic() + pause

    def _read(self) -> dict[int, Spans]:
        content = fetch(self._url, most_bytes=_LARGEST_DOCUMENT, timeout_seconds=_TIMEOUT_SECONDS, headers={})
        document = json.loads(content)
        fours, sixes = ([*self._networks(document[entries], key)] for entries, key in _LISTS)
        return {4: Spans.of(fours), 6: Spans.of(sixes)}

    def _networks(self, entries: Any, key: str) -> Iterable[Any]:
        for entry in entries:
            if not self._regions or entry["region"].lower() in self._regions:
                yield ip_network(entry[key])
