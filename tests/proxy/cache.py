"""What a process needs to cache the blobs of another registry, and clients of it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from registry.config.upstreams import Network
from registry.config.upstreams import Upstream as Settings
from registry.proxy.blobs import ProxiedBlobs
from registry.proxy.caching import Caching
from registry.proxy.fills.fetching import Pace
from registry.proxy.fills.filling import Kept
from registry.proxy.fills.fills import Fills
from registry.proxy.routing import Place
from registry.storage.repository import Repositories
from registry.upstream.client import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.storage.repository import Repository

QUICK = Pace(least=0.002, most=0.02, again=0.001)
NETWORK = {"answertimeout_seconds": 20.0, "stalltimeout_seconds": 20.0}


class Counts:
    """A meter that remembers the sums of what it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sums: Counter[str] = Counter()

    def _add(self, name: str, number: int) -> None:
        with self._lock:
            self.sums[name] += number

    def served(self, kind: str, size: int, *, hit: bool) -> None:
        self._add(f"{kind} {'hits' if hit else 'misses'}", 1)
        self._add(f"{kind} bytes served", size)

    def pulled(self, kind: str, size: int) -> None:
        self._add(f"{kind} bytes pulled", size)

    def stale(self, upstream: str) -> None:
        self._add(f"{upstream} stale", 1)

    def fill_began(self, upstream: str) -> None:
        self._add(f"{upstream} in flight", 1)

    def fill_ended(self, upstream: str, outcome: str) -> None:
        self._add(f"{upstream} in flight", -1)
        self._add(f"{upstream} {outcome}", 1)

    def followed(self, upstream: str, clients: int) -> None:
        self._add(f"{upstream} followers", clients)


class Client:
    """A visitor that counts how often it has waited."""

    via = ""

    def __init__(self) -> None:
        self.waits = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self.waits += 1
        yield

    def warn(self, text: str) -> None:
        raise AssertionError(text)


class Cache:
    """A process that caches what a registry at `url` has, in `driver`; nothing if it is `read_only`."""

    def __init__(
        self, driver: StorageDriver, url: str, *, read_only: bool = False, network: Mapping[str, float] = NETWORK
    ) -> None:
        settings = Settings(name="hub", remoteurl=url, network=Network(**{**NETWORK, **network}))  # type: ignore[arg-type]
        self.driver = driver
        self.upstream = Upstream(settings)
        self.repositories = Repositories(driver)
        self.kept = Kept(driver, self.repositories, Caching(None), QUICK)
        self.meter = Counts()
        self.fills = Fills(None if read_only else self.kept, self.meter)

    def close(self) -> None:
        self.fills.close()
        self.upstream.close()

    def local(self, name: str = "a") -> Repository:
        return self.repositories.open(f"hub/{name}")

    def blobs(self, name: str = "a", visitor: Client | None = None) -> ProxiedBlobs:
        """Give the blobs of a repository as one request has them."""
        place = Place(f"hub/{name}", "hub", name)
        return ProxiedBlobs(self.local(name).blobs, place, self.upstream, self.fills, visitor or Client())

    def get(self, digest: Digest, name: str = "a", start: int = 0, stop: int | None = None) -> bytes:
        """Give what a client gets that asks for a blob; what it has got of one that breaks off is not told."""
        return b"".join(self.pieces(digest, name, start, stop))

    def pieces(self, digest: Digest, name: str = "a", start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        blobs = self.blobs(name)
        blob = blobs.serve(digest)
        with closing(blobs.read(blob, start, blob.size if stop is None else stop)) as pieces:  # type: ignore[type-var]
            yield from pieces

    def wait_until_idle(self) -> None:
        """Return when nothing is being fetched."""
        for thread in [*self.fills._threads]:
            thread.join(20)


def at_once(count: int, work: Callable[[int], bytes]) -> list[bytes | BaseException]:
    """Do `work` in so many threads; give what it returns or raises in each."""
    results: list[bytes | BaseException] = [b""] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001  it is what the test looks at
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
