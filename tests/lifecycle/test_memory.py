from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

from drivers.base import Found
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from registry.lifecycle.cache import Cache
from registry.lifecycle.findings import Findings, Policy
from registry.lifecycle.scan import scan
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.parts import Kind, part_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

FEW, MANY = 4000, 16_000
"""Blobs. Rows are read and written a thousand at once, and of each kind there are as many at least."""
OF_A_MANIFEST = 2
IN_A_REPOSITORY = 10


class Large(DelegatingDriver):
    """A storage of so many blobs, half of which are garbage, that keeps none of them."""

    def __init__(self, blobs: int) -> None:
        super().__init__(InMemoryDriver())
        self._blobs = blobs
        self._numbers = {
            paths.blob_data(Digest.of(manifest_of(number))): number for number in range(0, blobs, OF_A_MANIFEST)
        }

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        del leaf_in
        for number in range(self._blobs):
            digest = Digest.of(b"%d" % number)
            name = f"team/app{number // OF_A_MANIFEST // IN_A_REPOSITORY}"
            if path == paths.BLOBS:
                yield found(paths.blob_data(digest))
                continue
            yield found(paths.layer_link(name, digest))
            if number % OF_A_MANIFEST == 0:
                manifest = Digest.of(manifest_of(number))
                yield found(paths.revision_link(name, manifest))
                yield found(paths.tag_history_link(name, f"v{number}", manifest))
                if number % (2 * OF_A_MANIFEST) == 0:
                    yield found(paths.tag_link(name, f"v{number}"))

    def get_each(self, wanted: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        del limit
        for path in wanted:
            part = part_at(path)
            assert part
            if part.kind is Kind.TAG:
                yield str(Digest.of(manifest_of(int(part.tag.removeprefix("v"))))).encode()
            else:
                yield manifest_of(self._numbers[path])


def manifest_of(number: int) -> bytes:
    layers = [{"digest": str(Digest.of(b"%d" % (number + each))), "size": 1} for each in range(OF_A_MANIFEST)]
    document = {"mediaType": "application/x.test", "blobs": layers, "annotations": {"number": str(number)}}
    return json.dumps(document).encode()


def found(path: str) -> Found:
    return Found(path, len(str(Digest.of(b""))), 1.0, "a version of about so many characters")


def peak_of_a_scan(driver: Large, directory: Path) -> tuple[int, int]:
    """Return how many bytes a scan has had at most, and how many links it has found that may go."""
    tracemalloc.start()
    try:
        with Findings() as findings:
            cache = Cache(str(directory), "large")
            scan(driver, findings, Policy(2.0, lambda _: 2.0), cache=cache)
            condemnable = sum(len(links) for _, links in findings.condemnable())
            assert condemnable == findings.counts().loose_layers + findings.counts().loose_revisions
        return tracemalloc.get_traced_memory()[1], condemnable
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_what_is_stored(tmp_path: Path) -> None:
    few, many = Large(FEW), Large(MANY)
    peak_of_a_scan(Large(2), tmp_path / "first")

    (small, some), (large, more) = peak_of_a_scan(few, tmp_path / "few"), peak_of_a_scan(many, tmp_path / "many")

    assert more > 3 * some
    assert large < 1.2 * small
