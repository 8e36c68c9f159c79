"""What retention holds in memory does not grow with tags, repositories or pulls."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from drivers.base import Found
from drivers.inmemory import InMemoryDriver
from registry.config.retention import Keep
from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest
from registry.retention import history, judging
from registry.retention.history import History, dump
from registry.retention.judging import Judge, Kind
from registry.retention.rules import Rules
from registry.storage import paths
from tests.retention.stores import DAY, NOW, of_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FEW, MANY = 3_000, 30_000
KEEP = (Keep(tags=("t*7",)), Keep(newest=1000), Keep(newestversions=10), Keep(pulledwithin_seconds=DAY))


class ManyTags(InMemoryDriver):
    """A repository of so many tags, that holds none of them in memory."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        del leaf_in
        assert path == paths.tags("app")
        for each in range(self._number):
            yield Found(paths.tag_link("app", f"t{each}"), 71, NOW - DAY - each, "")

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        del limit
        for path in paths:
            yield str(Digest.of(path.encode())).encode()


class ManyPulls(InMemoryDriver):
    """A storage with so many objects that say what was pulled, a thousand things each."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._names = [f"host-1-{each:020}" for each in range(number // 1000)]

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        names = {paths.PULLS: ["20231114"], paths.pulls_of_day("20231114"): self._names}.get(path, [])
        return [name for name in names if name > after][:limit]

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        del limit
        for path in paths:
            yield dump(("app", f"{path[-20:]}-{each}", 1) for each in range(1000))


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def judge(number: int) -> tuple[int, int]:
    driver = ManyTags(number)
    connection = temporary_database(judging.TABLES + history.TABLES)
    known = History(driver, connection)
    rule = Rules.of(of_rule(*KEEP)).rule_for("app")
    assert rule
    judged = Judge(driver, connection, known, NOW)
    judged.judge("app", rule)
    assert sum(1 for _ in judged.verdicts()) == number
    return judged.counts(Kind.TAGS)


@pytest.mark.timeout(300)
def test_memory_does_not_grow_with_the_tags_of_a_repository() -> None:
    judge(10)

    assert peak(lambda: judge(MANY)) < 1.5 * peak(lambda: judge(FEW))


@pytest.mark.timeout(300)
def test_memory_does_not_grow_with_pulls() -> None:
    def read(number: int) -> None:
        connection = temporary_database(history.TABLES)
        found = History(ManyPulls(number), connection)
        found.read(NOW)
        assert connection.execute("SELECT count(*) FROM pull").fetchone() == (number,)

    read(1000)

    assert peak(lambda: read(MANY)) < 1.5 * peak(lambda: read(FEW))
