from __future__ import annotations

import os

from registry.foundation.election import Election


def test_one_process_is_elected_and_its_successor_when_it_has_ended() -> None:
    election = Election()
    asked, answer = os.pipe()
    release, hold = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(answer, b"1" if election.won() else b"0")
        os.read(release, 1)
        os._exit(0)
    elected_child = os.read(asked, 1) == b"1"
    elected_meanwhile = election.won()
    os.write(hold, b".")
    os.waitpid(child, 0)

    assert elected_child
    assert not elected_meanwhile
    assert election.won()
