"""Whatever an endpoint answers, and wherever the process that delivers ends, no event is lost."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.notifications import delivery as deliveries
from tests.drivers.failing import FailingDriver
from tests.notifications.journals import POLL, Journal, endpoint, push
from tests.notifications.receiver import Answering, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.config.events import Endpoint

STATUSES = (200, 200, 200, 204, 302, 400, 404, 422, 429, 500, 503)
REPOSITORIES = ("team/a", "team/b", "other")


class KilledError(BaseException):
    """The process ends here."""


@dataclass(frozen=True, slots=True)
class Life:
    """A process that delivers; it is killed as it asks for the n-th time whether it may, or calls the storage."""

    asks: int
    calls: int

    def held(self) -> Callable[[], bool]:
        left = iter(range(self.asks))

        def held() -> bool:
            if next(left, None) is None:
                raise KilledError
            return True

        return held


LIVES = st.lists(st.builds(Life, st.integers(1, 30), st.integers(1, 30)), max_size=5)


def live(life: Life, medium: InMemoryDriver, section: Endpoint) -> None:
    driver = FailingDriver(medium, life.calls)
    with closing(Journal(driver)) as journal, suppress(KilledError, DriverError):
        delivery = journal.delivery(section, held=life.held())
        while delivery.run() != POLL:
            pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@given(
    repositories=st.lists(st.sampled_from(REPOSITORIES), min_size=1, max_size=12),
    statuses=st.lists(st.sampled_from(STATUSES), max_size=30),
    lives=LIVES,
    batch=st.sampled_from([1, 3]),
    parallel=st.sampled_from([1, 3]),
)
def test_each_event_is_delivered_or_dead_and_those_of_a_repository_come_in_order(
    monkeypatch: pytest.MonkeyPatch,
    receiver: Receiver,
    repositories: Sequence[str],
    statuses: Sequence[int],
    lives: Sequence[Life],
    batch: int,
    parallel: int,
) -> None:
    monkeypatch.setattr(deliveries, "_WINDOW", 4)
    monkeypatch.setattr(deliveries, "_STEP_SECONDS", 0.003)
    answers = chain(statuses, repeat(200))
    receiver.answer = lambda _: Answering(next(answers))
    receiver.requests.clear()
    medium = InMemoryDriver()
    section = endpoint(
        receiver.url(), batch=batch, parallel=parallel, backoff_seconds=0.001, maxbackoff_seconds=0.002, threshold=2
    )
    with closing(Journal(medium)) as journal:
        journal.add(*(push(f"v{n}", repository) for n, repository in enumerate(repositories)))
        for life in lives:
            live(life, medium, section)
        delivery = journal.delivery(section)
        while delivery.run() != POLL:
            pass

        dead = {letter.event.tag for letter in journal.letters.of("ci")}
    first = list(dict.fromkeys((each["target"]["repository"], each["target"]["tag"]) for each in receiver.taken))
    assert {tag for _, tag in first} | dead == {f"v{n}" for n in range(len(repositories))}
    for wanted in REPOSITORIES:
        order = [int(tag[1:]) for repository, tag in first if repository == wanted and tag not in dead]
        assert order == sorted(order)
    assert not dead or {400, 422} & set(statuses)
