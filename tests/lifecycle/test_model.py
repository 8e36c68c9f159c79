"""Every order of steps of clients and a garbage collection: nothing acknowledged is lost, and no part can be left out.

`make test` tries what has convicted designs that did not hold; `make model` tries all pairs, which takes minutes.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Final

import pytest

from tests.lifecycle.model.collector import Collector
from tests.lifecycle.model.exploring import Process, explore
from tests.lifecycle.model.store import NONE, OLD, YOUNG, LostError, Store
from tests.lifecycle.model.writers import BLOB, CHILD, IndexWriter, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.lifecycle.model.exploring import Steps

EVERYTHING: Final = "MODEL" in os.environ

NEITHER = (NONE, NONE)
BLOBS = {
    "unreferenced": Store(True, (OLD, NONE), NEITHER, (False, False)),
    "unreferenced in two": Store(True, (OLD, OLD), NEITHER, (False, False)),
    "bytes alone": Store(True, NEITHER, NEITHER, (False, False)),
    "condemned long ago": Store(True, NEITHER, (OLD, NONE), (False, False)),
    "condemned": Store(True, NEITHER, (YOUNG, NONE), (False, False)),
    "pushed again": Store(True, (OLD, NONE), (OLD, OLD), (False, False)),
    "condemned in one": Store(True, (NONE, OLD), (YOUNG, NONE), (False, False)),
    "nothing": Store(False, NEITHER, NEITHER, (False, False)),
    "referenced": Store(True, (OLD, NONE), NEITHER, (True, False)),
    "referenced in one": Store(True, (OLD, OLD), NEITHER, (False, True)),
}
"""The trees over which repositories a and b, of the same index, share a blob."""

INDEXES = {
    "unreferenced": Store(True, (OLD, OLD), NEITHER, (False, False)),
    "condemned in part": Store(True, (NONE, OLD), (YOUNG, NONE), (False, False)),
    "condemned": Store(True, NEITHER, (YOUNG, YOUNG), (False, False)),
    "condemned long ago": Store(True, NEITHER, (OLD, OLD), (False, False)),
    "referenced": Store(True, (OLD, OLD), NEITHER, (True, False)),
    "bytes alone": Store(True, NEITHER, NEITHER, (False, False)),
    "nothing": Store(False, NEITHER, NEITHER, (False, False)),
}
"""The trees over which a repository has, of the same index, a manifest without a tag and the blob that it names."""

ABOUT_BLOBS = Collector()
ABOUT_INDEXES = Collector(("a", "a"), (CHILD, BLOB), ((1,), ()))

Clients = dict[str, Process]


def clients(without: Iterable[str] = ()) -> Clients:
    """Return what clients may do with the blob in two repositories; what begins with "told" relies on an answer."""
    a, b = Writer(0, "a", frozenset(without)), Writer(1, "b", frozenset(without))
    return named(
        {
            "put a": a.put,
            "put b": b.put,
            "upload a": a.upload,
            "upload b": b.upload,
            "mount a in b": partial(b.mount, 0),
            "mount b in a": partial(a.mount, 1),
            "told, put a": a.head_put,
            "told, put b": b.head_put,
            "told, upload and put a": a.upload_put,
            "told, mount a in b and put": partial(b.mount_put, 0),
            "delete blob a": a.delete_link,
            "delete blob b": b.delete_link,
            "delete manifest a": a.delete_tag,
            "delete manifest b": b.delete_tag,
        }
    )


def clients_of_an_index(without: Iterable[str] = ()) -> Clients:
    """Return what clients may do with an index."""
    index, blob = IndexWriter(0, "a", frozenset(without)), Writer(1, "a", frozenset(without))
    return named(
        {
            "put": index.put,
            "put child": index.put_child,
            "upload": blob.upload,
            "told, put": index.head_put,
            "told, put child and put": index.child_put,
            "delete": index.delete_tag,
            "delete child": index.delete_link,
        }
    )


def named(programs: Mapping[str, Callable[[], Steps]]) -> Clients:
    return {name: Process(name, lambda _, program=program: program()) for name, program in programs.items()}  # type: ignore[misc]


def try_all(collector: Collector, found: Clients, trees: Iterable[Store], *, at_once: int = 1, deaths: int = 0) -> int:
    """Let so many of the clients run at once with the collector, over each tree; return how many states were seen.

    Promises are kept only if the collector waits.
    """
    collecting, seen = Process("collector", collector.collect, mortal=True), 0
    for names in combinations_with_replacement(found, at_once):
        if any(name.startswith("told") for name in names) and not collector.waits:
            continue
        for tree in trees:
            seen += explore(tree, [collecting, *(found[name] for name in names)], deaths=deaths)
    return seen


def some(found: Clients, *names: str) -> Clients:
    return found if EVERYTHING else {name: found[name] for name in names}


def trees(all_trees: Mapping[str, Store], *names: str) -> list[Store]:
    return [*all_trees.values()] if EVERYTHING else [all_trees[name] for name in names]


@pytest.mark.parametrize("tags_first", [False, True])
@pytest.mark.parametrize("waits", [False, True])
def test_one_client_loses_nothing_and_is_refused_nothing_that_it_was_told(*, waits: bool, tags_first: bool) -> None:
    """Nothing acknowledged is lost even if a run does not wait for writers; promises need that."""
    blobs = replace(ABOUT_BLOBS, waits=waits, tags_first=tags_first)
    indexes = replace(ABOUT_INDEXES, waits=waits, tags_first=tags_first)

    assert try_all(blobs, clients(), BLOBS.values()) > 10_000
    assert try_all(indexes, clients_of_an_index(), INDEXES.values()) > 10_000


def test_two_clients_at_once_lose_nothing_and_are_refused_nothing() -> None:
    found = some(clients(), "put a", "upload a", "told, put a", "told, mount a in b and put", "delete blob a")
    over = trees(BLOBS, "unreferenced", "bytes alone", "condemned")

    assert try_all(ABOUT_BLOBS, found, over, at_once=2) > 100_000


def test_two_clients_at_once_lose_nothing_however_long_they_take() -> None:
    found = some(clients(), "put a", "upload a", "mount b in a")
    over = trees(BLOBS, "unreferenced", "condemned in one")

    assert try_all(replace(ABOUT_BLOBS, waits=False), found, over, at_once=2) > 100_000


def test_two_clients_at_once_lose_nothing_of_an_index() -> None:
    """Here a run has to wait: who finds a manifest that another one brings back relies on what is not acknowledged."""
    found = some(clients_of_an_index(), "put", "put child", "told, put")
    over = trees(INDEXES, "unreferenced", "condemned in part", "bytes alone")

    assert try_all(ABOUT_INDEXES, found, over, at_once=2) > 100_000


@pytest.mark.parametrize("waits", [False, True])
def test_a_collector_may_die_at_any_step_and_another_one_take_over(*, waits: bool) -> None:
    blobs, indexes = replace(ABOUT_BLOBS, waits=waits, runs=3), replace(ABOUT_INDEXES, waits=waits, runs=3)
    found = some(clients(), "put a", "upload a", "told, mount a in b and put")

    assert try_all(blobs, found, trees(BLOBS, "unreferenced", "condemned"), deaths=1) > 10_000
    assert try_all(indexes, clients_of_an_index(), trees(INDEXES, "unreferenced"), deaths=1) > 10_000


@pytest.mark.parametrize(
    ("part", "waits"),
    [
        pytest.param("notice", True, id="writers put no notice"),
        pytest.param("notice first", True, id="writers look before they put their notice"),
        pytest.param("care", True, id="writers do in a run what they do else"),
        pytest.param("confirm", False, id="writers do not look at the end, and no run waits for them"),
        pytest.param("revival", True, id="nothing is brought back"),
        pytest.param("closing", True, id="the run closes nothing"),
        pytest.param("closing first", True, id="the run reads notices before it closes"),
        pytest.param("notices", True, id="the run sweeps whatever is noticed"),
        pytest.param("two runs", True, id="bytes are swept by the run that has condemned them"),
    ],
)
def test_no_part_can_be_left_out(part: str, *, waits: bool) -> None:
    for collector, found, over in (
        (ABOUT_BLOBS, clients([part]), BLOBS),
        (ABOUT_INDEXES, clients_of_an_index([part]), INDEXES),
    ):
        with pytest.raises(LostError):
            try_all(replace(collector, waits=waits, without=frozenset([part])), found, over.values())


def test_who_finds_no_condemned_link_has_to_look_at_the_live_one_once_more() -> None:
    """Another one has brought it back meanwhile."""
    both = {name: client for name, client in clients(["second look"]).items() if name in {"put a", "told, put a"}}

    with pytest.raises(LostError, match="refused what it was told of"):
        try_all(ABOUT_BLOBS, both, [BLOBS["unreferenced"]], at_once=2)


def test_a_push_of_an_index_has_to_name_what_its_manifests_name() -> None:
    with pytest.raises(LostError, match="cannot be pulled"):
        try_all(ABOUT_INDEXES, clients_of_an_index(["depth"]), INDEXES.values())


def test_a_push_of_an_index_that_looks_once_more_has_to_look_at_what_its_manifests_name() -> None:
    shallow = clients_of_an_index(["depth of the second look"])

    with pytest.raises(LostError, match="cannot be pulled"):
        try_all(replace(ABOUT_INDEXES, waits=False), shallow, INDEXES.values())
