from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from registry.foundation.shared_value import SharedValue, TornError


class Memory:
    """The memory of a value, which ends the process at the write number `last`."""

    def __init__(self, memory: Any, last: int) -> None:
        self._memory = memory
        self._left = last

    def __getitem__(self, key: Any) -> Any:
        return self._memory[key]

    def __setitem__(self, key: Any, content: Any) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._memory[key] = content


def write_and_die(value: SharedValue, content: object, *, at: int) -> None:
    """Write in another process, which is killed before its write number `at` to the memory."""
    child = os.fork()
    if child == 0:
        value._memory = Memory(value._memory, at)  # type: ignore[assignment]  # all that is asked of it
        value.write(content)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_there_is_nothing_at_first_and_then_what_another_process_has_written() -> None:
    value = SharedValue(100)
    assert value.read() is None
    child = os.fork()
    if child == 0:
        value.write({"a": "é"})
        os._exit(0)
    os.waitpid(child, 0)
    assert value.read() == {"a": "é"}


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("before", [[], ["x" * 40], ["x" * 40, "y"]])
def test_a_writer_that_is_killed_leaves_the_last_value_and_its_successor_writes_on(before: list[str], at: int) -> None:
    value = SharedValue(100)
    for content in before:
        value.write(content)

    write_and_die(value, "z" * 20, at=at)

    assert value.read() == (before[-1] if before else None)
    value.write("after")
    assert value.read() == "after"


def test_memory_that_something_else_has_written_into_is_an_error_and_does_not_hang() -> None:
    value = SharedValue(100)
    value.write("a")
    value.write("b")
    value._memory[8:] = b"\x07" * len(value._memory[8:])
    with pytest.raises(TornError):
        value.read()


def test_what_does_not_fit_is_refused_and_what_fits_is_written() -> None:
    value = SharedValue(10)
    value.write("12345678")
    with pytest.raises(ValueError, match="11 bytes are too many"):
        value.write("123456789")
    assert value.read() == "12345678"


def test_a_reader_sees_one_value_or_the_other_while_they_are_written() -> None:
    value = SharedValue(20_000)
    contents = ["a" * 10_000, "b" * 15_000]
    value.write(contents[0])
    done = threading.Event()

    def write() -> None:
        for round_ in range(2000):
            value.write(contents[round_ % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert value.read() in contents
    writer.join()
