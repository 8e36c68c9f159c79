"""`python -m tests.benchmarks.indexing`: what the index of a large registry costs, and what it answers how fast.

    python -m tests.benchmarks.indexing --repositories 20000 --tags 20
    python -m tests.benchmarks.indexing --repositories 1000 --tags 20 --on s3

It makes the tags, on tmpfs or in a SeaweedFS on tmpfs, has a host make its index, and asks that.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.storage import paths
from tests.benchmarks.processor import Processor
from tests.benchmarks.stands import scratch
from tests.content import image
from tests.index.hosts import Host, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from drivers.base import StorageDriver

    Write = Callable[[str, bytes], object]

IMAGES = 5
"""Images of a repository, to which its tags lead."""
_TEAMS = 100
_ROUNDS = 50
_LAYERS = tuple(f"layer {number}".encode() for number in range(8))


def objects_of(repositories: int, tags: int) -> Iterator[tuple[str, bytes]]:
    """Yield the objects of so many repositories of so many tags each: path and content, but for layers."""
    for number in range(repositories):
        name = f"team-{number % _TEAMS}/service-{number:05}"
        links = []
        for version in range(IMAGES):
            of = f"{number}.{version}"
            config = json.dumps({"os": "linux", "architecture": "amd64", "of": of}).encode()
            manifest = image(config, *_LAYERS, of.encode())
            links.append(str(Digest.of(manifest)).encode())
            yield paths.blob_data(Digest.of(config)), config
            yield paths.blob_data(Digest.of(manifest)), manifest
            yield paths.revision_link(name, Digest.of(manifest)), links[-1]
        for tag in range(tags):
            yield paths.tag_link(name, f"v{tag // 10}.{tag % 10}-{number % 977:03x}"), links[tag % IMAGES]


def plant(objects: Iterator[tuple[str, bytes]], write: Write, at_once: int) -> None:
    """Store `objects`, some of them at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        while some := list(islice(objects, 10_000)):
            list(pool.map(lambda each: write(*each), some))


@contextmanager
def on_tmpfs(directory: Path) -> Iterator[tuple[StorageDriver, Write]]:
    """Give a driver of files, and what writes them without syncing each."""

    def write(path: str, content: bytes) -> None:
        file = directory / "root" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    yield FilesystemDriver(str(directory / "root")), write


@contextmanager
def on_s3(directory: Path) -> Iterator[tuple[StorageDriver, Write]]:
    """Give a driver over SeaweedFS, and its method that puts an object."""
    from drivers.s3.driver import S3Driver  # noqa: PLC0415  where it is installed
    from tests.drivers.s3.servers import seaweedfs  # noqa: PLC0415

    with seaweedfs(directory) as server:
        driver = S3Driver.from_parameters(server.parameters())
        yield driver, driver.put


def main() -> None:
    """Make the index, ask it, and print what that has cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repositories", type=int, default=20_000)
    parser.add_argument("--tags", type=int, default=20, help="of each repository")
    parser.add_argument("--on", choices=("tmpfs", "s3"), default="tmpfs")
    options = parser.parse_args()
    with scratch("tmpfs") as directory, {"tmpfs": on_tmpfs, "s3": on_s3}[options.on](directory) as (driver, write):
        began = time.perf_counter()
        plant(objects_of(options.repositories, options.tags), write, at_once=1 if options.on == "tmpfs" else 16)
        print(f"made in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        host = Host(directory / "index", driver)
        print(f"{options.repositories} repositories, {options.repositories * options.tags} tags on {options.on}")
        print(f"  processor: {Processor.of_this_machine()}")
        print("\n".join([*_made(host), *_asked(host)]))


def _made(host: Host) -> Iterator[str]:
    """Make the index without rests, and yield how long each part has taken."""
    before, began = _cpu_seconds(), time.perf_counter()
    while not _is_listed(host):
        host.keeping.run()
    yield f"  names and times: {time.perf_counter() - began:.1f} s, {_cpu_seconds() - before:.1f} s of CPU"
    host.catch_up()
    yield f"  all of it: {time.perf_counter() - began:.1f} s, {_cpu_seconds() - before:.1f} s of CPU"
    size = sum(file.stat().st_size for file in host.directory.iterdir())
    yield f"  file: {size / 1e6:.0f} MB; resident at most: {_peak_bytes() / 1e6:.0f} MB"


def _is_listed(host: Host) -> bool:
    progress = host.index.progress()
    return progress is not None and progress.complete is not None


def _asked(host: Host) -> Iterator[str]:
    """Ask the index again and again, and yield how long an answer takes."""
    name = "team-7/service-00007"
    questions: dict[str, Callable[[], object]] = {
        "search for a part of many names": lambda: host.index.search("service", everything),
        "search for one name": lambda: host.index.search("ce-00007", everything),
        "search for two letters": lambda: host.index.search("07", everything),
        "search for what there is not": lambda: host.index.search("nowhere", everything),
        "search for a tag": lambda: host.index.search("v1.0-007", everything),
        "search for tags of some": lambda: host.index.search("team-7:v1", everything),
        "search of one who may see nothing": lambda: host.index.search("service", lambda _: False),
        "repositories, last pushed first": lambda: host.index.repositories("-pushed", everything),
        "repositories, largest first": lambda: host.index.repositories("-size", everything),
        "level of the tree": lambda: host.index.level("team-7", everything),
        "tags of a repository, last pushed first": lambda: host.index.tags(name, "-pushed"),
    }
    for what, ask in questions.items():
        if ask() is None:
            raise AssertionError(f"there is no answer: {what}")
        yield f"  {what}: {_median_seconds(ask) * 1000:.1f} ms"


def _median_seconds(ask: Callable[[], object]) -> float:
    taken: list[float] = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return _median(taken)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _cpu_seconds() -> float:
    return time.process_time()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
