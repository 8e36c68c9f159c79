"""What of a circuit has nothing to do with upstreams: tests/upstream/test_failures.py has the rest."""

from __future__ import annotations

import pytest

from registry.foundation.circuit import MOST_WAITING, Circuit, CircuitOpenError
from registry.server.turns import MOST_WORKING


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[bool]:
    return []


@pytest.fixture
def circuit(told: list[bool], clock: Clock) -> Circuit:
    circuit = Circuit(most_waiting=3, clock=clock)
    circuit.watch(told.append)
    return circuit


def enter(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        circuit.enter()


def refused(circuit: Circuit) -> int:
    with pytest.raises(CircuitOpenError) as caught:
        circuit.enter()
    return caught.value.retry_seconds


def test_the_calls_that_may_wait_leave_half_of_the_threads_of_a_worker() -> None:
    assert MOST_WAITING * 2 == MOST_WORKING


def test_any_number_of_calls_wait_for_a_server_that_answers(circuit: Circuit, clock: Clock, told: list[bool]) -> None:
    enter(circuit, 10)
    for _ in range(10):
        clock.now += 0.9
        circuit.succeeded()
        circuit.enter()
    assert not told


def test_there_is_no_room_for_one_more_while_many_wait_and_nothing_is_heard(
    circuit: Circuit, clock: Clock, told: list[bool]
) -> None:
    enter(circuit, 3)
    clock.now += 1
    assert refused(circuit) == 1
    assert not told
    circuit.succeeded()
    enter(circuit, 3)
    clock.now += 1
    assert refused(circuit) == 1


def test_a_server_that_is_heard_of_is_not_silent(circuit: Circuit, clock: Clock, told: list[bool]) -> None:
    enter(circuit, 3)
    for _ in range(10):
        clock.now += 0.9
        circuit.heard()
        enter(circuit, 1)
    for _ in range(10):
        circuit.failed()
        circuit.heard()
    assert not told


def test_few_may_wait_for_long(circuit: Circuit, clock: Clock) -> None:
    enter(circuit, 2)
    clock.now += 1000
    enter(circuit, 1)


def test_the_time_before_anybody_waits_is_not_silence(circuit: Circuit, clock: Clock) -> None:
    enter(circuit, 3)
    circuit.succeeded()
    circuit.succeeded()
    circuit.left()
    clock.now += 1000
    enter(circuit, 3)
    clock.now += 0.9
    enter(circuit, 1)


def test_a_server_that_many_wait_for_in_vain_is_left_alone(circuit: Circuit, clock: Clock, told: list[bool]) -> None:
    enter(circuit, 3)
    clock.now += 5
    assert refused(circuit) == 10
    assert told == [True]
    clock.now += 10
    circuit.enter()
    assert refused(circuit) == 1
    circuit.succeeded()
    assert told == [True, False]
    enter(circuit, 3)


def test_calls_that_waited_when_it_was_opened_and_fail_then_do_not_make_it_longer(
    circuit: Circuit, clock: Clock, told: list[bool]
) -> None:
    enter(circuit, 3)
    clock.now += 5
    assert refused(circuit) == 10
    clock.now += 4
    for _ in range(3):
        circuit.failed()
    assert refused(circuit) == 6
    assert told == [True]


def test_a_late_answer_to_anybody_closes_it(circuit: Circuit, clock: Clock, told: list[bool]) -> None:
    enter(circuit, 3)
    clock.now += 5
    assert refused(circuit) == 10
    circuit.succeeded()
    circuit.enter()
    assert told == [True, False]


def test_what_takes_long_is_refused_while_the_circuit_is_open_and_counts_as_nobody_who_waits(
    circuit: Circuit, clock: Clock, told: list[bool]
) -> None:
    for _ in range(10):
        circuit.require_closed()
    clock.now += 1000
    enter(circuit, 1)
    for _ in range(5):
        circuit.missed()
    assert told == [True]
    with pytest.raises(CircuitOpenError) as caught:
        circuit.require_closed()
    assert caught.value.retry_seconds == 10
    clock.now += 10
    circuit.require_closed()
    circuit.heard()
    assert told == [True, False]
    enter(circuit, 1)
