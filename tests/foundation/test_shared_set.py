from __future__ import annotations

import os

from registry.foundation.shared_set import SharedSet


def test_what_was_added_is_in_it_and_nothing_else() -> None:
    found = SharedSet()
    for number in range(1000):
        found.add(b"%d" % number)
        found.add(b"%d" % number)
    assert all(b"%d" % number in found for number in range(1000))
    assert not any(b"%d" % number in found for number in range(1000, 3000))


def test_what_one_process_adds_all_know() -> None:
    shared = SharedSet()
    child = os.fork()
    if not child:
        shared.add(b"of the child")
        os._exit(0)
    os.waitpid(child, 0)
    assert b"of the child" in shared


def test_it_does_not_grow_and_knows_what_was_added_last() -> None:
    full = SharedSet(64)
    for number in range(10_000):
        full.add(b"%d" % number)
        assert b"%d" % number in full
    assert 0 < sum(b"%d" % number in full for number in range(10_000)) <= 64


def test_no_value_is_kept() -> None:
    shared = SharedSet()
    shared.add(b"a very secret value")
    assert b"secret" not in shared._memory[:]
