"""The rows of the comparison, each a name, what is counted and how it is measured."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatch
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from tests.benchmarks import caching, images
from tests.benchmarks.connection import Connection
from tests.benchmarks.content import KIB, MIB, REPOSITORY, TAG, plant_repositories, plant_tags
from tests.benchmarks.guarded import with_password, with_token
from tests.benchmarks.measuring import Measurement, Target, apart, at_start, far, under_load
from tests.benchmarks.relay import FAR_SECONDS
from tests.benchmarks.storing import DRIVERS
from tests.benchmarks.tools import ACCEPT, Load, hey, push, wrk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.benchmarks.content import Samples
    from tests.benchmarks.peers import Peer

_CLIENTS = 32
_PUSHERS = 4
_FAR_CLIENTS = 8
"""Of a store that is far away: few enough that they wait for it and not for the processors of this machine."""
_SIZES = (("4k", 4 * KIB), ("1m", MIB))
_ACCEPT = {"Accept": ACCEPT}
_MANIFESTS = f"/v2/{REPOSITORY}/manifests"
_TAGS = "bench/tags"
_FEW_TAGS = "bench/few-tags"
_FEW_REPOSITORIES = 20
_READ = ("tmpfs", "nginx")
_WRITTEN = ("tmpfs", "nginx", "disk")
_STORED = ("s3", "gcs", "azure")


class Who(Enum):
    """On which registries a row is measured."""

    PLAIN = auto()
    """Those that cache no other."""
    CACHES = auto()
    CACHES_AND_OURS = auto()
    """Caches, and ours as one that is none, to see what being one costs."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison.

    `places` are those where it is meaningful. `plant` writes what it needs into a distribution registry's tree;
    a registry that keeps another tree is left out. `prepare` runs before each measurement. `writes` is how much
    memory the pushes of a measurement may take, in huge blobs, by experience: see tests.benchmarks.warming. `uploads`
    says that blobs are pushed. `who` is measured.
    """

    name: str
    measure: Callable[[Target], Measurement]
    places: tuple[str, ...] = _READ
    plant: Callable[[Path, Samples], None] | None = None
    prepare: Callable[[Target], object] | None = None
    writes: int = 0
    uploads: bool = False
    who: Who = Who.PLAIN

    def takes(self, peer: Peer, place: str) -> bool:
        """Tell whether it is measured on that registry at that place."""
        if self.uploads and DRIVERS.get(place) in peer.reads_only:
            return False
        if self.who is Who.PLAIN:
            return not peer.caches and (peer.tree or not self.plant)
        return peer.caches or (self.who is Who.CACHES_AND_OURS and peer.name == "ours")


def select(patterns: str) -> list[Row]:
    """Return the rows whose names match one of `patterns` (as file names do); all of them for none."""
    wanted = patterns.replace(",", " ").split()
    return [row for row in ROWS if not wanted or any(fnmatch(row.name, each) for each in wanted)]


def _get(target: Target, path: str, headers: dict[str, str] | None = None, *, clients: int = _CLIENTS) -> Load:
    scale = target.samples.scale
    if scale.seconds < 1:
        return hey(target.address, path, clients=clients, requests=_requests(target, clients), headers=headers or {})
    return wrk(target.address, path, clients=clients, seconds=scale.seconds, headers=headers or {})


def _head(target: Target, path: str, headers: dict[str, str] | None = None, *, clients: int = _CLIENTS) -> Load:
    requests = _requests(target, clients)
    return hey(target.address, path, method="HEAD", clients=clients, requests=requests, headers=headers or {})


def _requests(target: Target, clients: int) -> int:
    """Return how many requests so many clients send: each as many, however many there are."""
    return max(1, target.samples.scale.requests // _CLIENTS) * clients


def _blob(target: Target, size: int) -> str:
    return f"/v2/{REPOSITORY}/blobs/{target.samples.blobs[size]}"


def _manifest(target: Target, *, clients: int = _CLIENTS) -> Load:
    return _get(target, f"{_MANIFESTS}/{TAG}", _ACCEPT, clients=clients)


def _manifest_by_digest(target: Target, *, clients: int = _CLIENTS) -> Load:
    return _get(target, f"{_MANIFESTS}/{target.samples.manifest_digest}", _ACCEPT, clients=clients)


def _manifest_head(target: Target, *, clients: int = _CLIENTS) -> Load:
    return _head(target, f"{_MANIFESTS}/{TAG}", _ACCEPT, clients=clients)


def _manifest_head_by_digest(target: Target, *, clients: int = _CLIENTS) -> Load:
    return _head(target, f"{_MANIFESTS}/{target.samples.manifest_digest}", _ACCEPT, clients=clients)


def _blob_head(target: Target, *, clients: int = _CLIENTS) -> Load:
    return _head(target, _blob(target, 4 * KIB), clients=clients)


def _blob_get(target: Target, *, size: int, clients: int = _CLIENTS) -> Load:
    return _get(target, _blob(target, size), clients=clients)


def _guarded_get(target: Target, credentials: dict[str, str]) -> Load:
    # Few clients: with bcrypt at every request, many would wait for longer than the load generator does.
    return _get(target, f"{_MANIFESTS}/{TAG}", {**_ACCEPT, **credentials}, clients=_PUSHERS)


def _large_get(target: Target, *, clients: int) -> Load:
    path = _blob(target, target.samples.scale.large)
    return hey(target.address, path, clients=clients, requests=max(8, clients), headers={})


def _range_get(target: Target, *, clients: int = _CLIENTS) -> Load:
    middle = target.samples.scale.large // 2
    path = _blob(target, target.samples.scale.large)
    return _get(target, path, {"Range": f"bytes={middle}-{middle + 64 * KIB - 1}"}, clients=clients)


def _small_push(target: Target, *, way: str, size: int, clients: int = _PUSHERS) -> Load:
    file, scale = target.samples.push_file(size), target.samples.scale
    return push(target.address, way, "bench/push", file, clients=clients, seconds=scale.seconds)


def _huge_file(target: Target) -> Path:
    """Return the file to push. It is made before memory is warmed, so that it does not use the warmed memory."""
    return target.samples.push_file(target.samples.scale.huge)


def _huge_push(target: Target, *, way: str, clients: int) -> Load:
    return push(target.address, way, "bench/push", _huge_file(target), clients=clients, seconds=0)


def _large_push(target: Target) -> Load:
    file = target.samples.push_file(target.samples.scale.large)
    return push(target.address, "put", "bench/push", file, clients=1, seconds=0)


def _chunked_push(target: Target) -> Load:
    file = target.samples.push_file(target.samples.scale.chunked)
    return push(target.address, "chunks", "bench/push", file, clients=1, seconds=target.samples.scale.seconds)


def _manifest_push(target: Target, *, clients: int = _PUSHERS) -> Load:
    path, scale = target.samples.manifest_path, target.samples.scale
    return push(target.address, "manifest", REPOSITORY, path, clients=clients, seconds=scale.seconds)


def _tag_page(target: Target, *, repository: str, share: int) -> Load:
    last = target.samples.scale.tags // share // 2
    return _get(target, f"/v2/{repository}/tags/list?n=100&last=tag-{last:06}")


def _catalog_page(target: Target) -> Load:
    last = target.samples.scale.repositories // 2
    return _get(target, f"/v2/_catalog?n=100&last=catalog-{last // 1000:03}/image-{last % 1000:03}")


def _small_catalog(target: Target) -> Load:
    return _get(target, "/v2/_catalog?n=100")


def _plant_nothing(root: Path, samples: Samples) -> None:
    """Leave the tree as it is: it is only needed so that a second server can serve it."""
    del root, samples


def _plant_tags(root: Path, samples: Samples) -> None:
    plant_tags(root, _TAGS, samples.scale.tags, samples.manifest_digest)
    plant_tags(root, _FEW_TAGS, samples.scale.tags // 10, samples.manifest_digest)


def _plant_repositories(root: Path, samples: Samples) -> None:
    plant_repositories(root, samples.scale.repositories, samples.manifest_digest)


def _plant_few_repositories(root: Path, samples: Samples) -> None:
    plant_repositories(root, _FEW_REPOSITORIES, samples.manifest_digest)


def _beside_idle_connections(target: Target) -> Load:
    """GET a manifest while other clients hold connections that they have used once."""
    with ExitStack() as stack:
        for _ in range(target.samples.scale.idle):
            idle = stack.enter_context(Connection(target.address.host, target.address.port))
            idle.request("GET", "/v2/", expected=200)
        return _manifest_by_digest(target)


def _reading() -> Iterable[Row]:
    everywhere = (*_READ, *_STORED)
    yield Row("base", under_load(lambda each: _get(each, "/v2/")), _READ)
    yield Row("manifest-get-tag", under_load(_manifest), everywhere)
    yield Row("manifest-get-digest", under_load(_manifest_by_digest), everywhere)
    yield Row("manifest-get-htpasswd", partial(with_password, _guarded_get), ("tmpfs",), _plant_nothing)
    yield Row("manifest-get-token", partial(with_token, _guarded_get), ("tmpfs",), _plant_nothing)
    yield Row("manifest-head-tag", under_load(_manifest_head), everywhere)
    yield Row("manifest-head-digest", under_load(_manifest_head_by_digest), everywhere)
    yield Row("blob-head", under_load(_blob_head), everywhere)
    for name, size in _SIZES:
        yield Row(f"blob-get-{name}", under_load(partial(_blob_get, size=size)), everywhere)
    for clients, places in ((1, _READ), (4, everywhere), (32, _READ)):
        yield Row(f"blob-get-large-{clients}", under_load(partial(_large_get, clients=clients)), places)
    yield Row("blob-get-range", under_load(_range_get), everywhere)


def _writing() -> Iterable[Row]:
    everywhere = (*_WRITTEN, *_STORED)
    for way, places in (("put", everywhere), ("patch", _WRITTEN)):
        load = under_load(partial(_small_push, way=way, size=4 * KIB))
        yield Row(f"push-4k-{way}", load, places, writes=1, uploads=True)
    load = under_load(partial(_small_push, way="put", size=MIB))
    yield Row("push-1m", load, everywhere, writes=1, uploads=True)
    yield Row("manifest-put", under_load(_manifest_push), everywhere, writes=1)
    yield Row("push-chunks", under_load(_chunked_push), _WRITTEN, writes=1, uploads=True)
    yield Row("push-large-put", under_load(_large_push), _STORED, writes=1, uploads=True)
    for name, way, clients in (("put", "put", 1), ("patch", "patch", 1), ("4", "put", 4)):
        load = under_load(partial(_huge_push, way=way, clients=clients))
        yield Row(f"push-huge-{name}", load, _WRITTEN, prepare=_huge_file, writes=clients, uploads=True)


def _far() -> Iterable[Row]:
    """Yield the rows over a store that is far away: how long one client waits, and several at once."""
    loads: dict[str, Callable[..., Load]] = {
        "manifest-get-tag": _manifest,
        "manifest-get-digest": _manifest_by_digest,
        "manifest-head-tag": _manifest_head,
        "manifest-head-digest": _manifest_head_by_digest,
        "blob-head": _blob_head,
        **{f"blob-get-{name}": partial(_blob_get, size=size) for name, size in _SIZES},
        "blob-get-range": _range_get,
    }
    pushes: dict[str, Callable[..., Load]] = {
        **{f"push-{name}": partial(_small_push, way="put", size=size) for name, size in _SIZES},
        "manifest-put": _manifest_push,
    }
    for (name, load), clients in product({**loads, **pushes}.items(), (1, _FAR_CLIENTS)):
        measure = far(partial(load, clients=clients))
        yield Row(f"far-{name}-{clients}", measure, ("s3-far",), writes=int(name in pushes), uploads=name in pushes)


def _caching() -> Iterable[Row]:
    def row(name: str, load: Callable[[Target], Load], who: Who, *, delay: float = 0.0, writes: int = 0) -> Row:
        measure = caching.measured(load, delay=delay)
        return Row(f"proxy-{name}", measure, ("tmpfs",), prepare=caching.prepare, writes=writes, who=who)

    yield row("manifest-digest", caching.manifest_by_digest, Who.CACHES_AND_OURS)
    yield row("blob-4k", partial(caching.blob, size=4 * KIB), Who.CACHES_AND_OURS)
    yield row("blob-1m", partial(caching.blob, size=MIB), Who.CACHES_AND_OURS)
    yield row("tag-fresh", caching.fresh_tag, Who.CACHES, delay=FAR_SECONDS)
    yield row("tag-asked", caching.asked_tag, Who.CACHES, delay=FAR_SECONDS)
    yield row("miss", caching.miss, Who.CACHES, writes=3)
    yield row("miss-first-byte", caching.first_byte, Who.CACHES, delay=FAR_SECONDS, writes=1)
    yield row("miss-64-clients", caching.cold, Who.CACHES, writes=1)
    yield row("hit-while-200-wait", caching.beside_waiting, Who.CACHES)


def _rows() -> Iterable[Row]:
    yield Row("start", partial(at_start, idle_seconds=0), ("tmpfs",))
    yield Row("idle", partial(at_start, idle_seconds=2), ("tmpfs",))
    yield from _reading()
    yield from _writing()
    few, many = partial(_tag_page, repository=_FEW_TAGS, share=10), partial(_tag_page, repository=_TAGS, share=1)
    yield Row("tags-page-few", under_load(few), ("tmpfs",), _plant_tags)
    yield Row("tags-page-many", under_load(many), ("tmpfs",), _plant_tags)
    yield Row("catalog-page", under_load(_catalog_page), ("tmpfs",), _plant_repositories)
    yield Row("catalog-page-small", apart(_small_catalog, _plant_few_repositories), ("tmpfs",), _plant_nothing)
    yield Row("image-push", under_load(images.push), (*_WRITTEN, *_STORED), prepare=images.make, writes=1, uploads=True)
    yield Row("image-pull", under_load(images.pull), (*_READ, *_STORED), prepare=images.make_and_push, uploads=True)
    yield Row("idle-connections", under_load(_beside_idle_connections))
    yield from _far()
    yield from _caching()


ROWS = tuple(_rows())
