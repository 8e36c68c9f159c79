from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest

from auth.base import Grant
from registry.web.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME, IDLE = 1000.0, 100.0
ALICE = Grant("alice", "password:1")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what lets so many seconds pass."""
    passed = 0.0
    clock = time.time

    def let(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr("registry.web.sessions.time.time", lambda: clock() + passed)
    return let


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(b"a secret of the cluster", LIFETIME, IDLE)


def test_every_host_with_the_secret_reads_what_one_has_written(sessions: Sessions) -> None:
    begun = sessions.begin(ALICE)

    assert Sessions(b"a secret of the cluster", LIFETIME, IDLE).read(sessions.write(begun)) == begun
    assert Sessions(b"another secret", LIFETIME, IDLE).read(sessions.write(begun)) is None


def test_two_sessions_of_a_user_have_forms_of_their_own(sessions: Sessions) -> None:
    one, other = sessions.begin(ALICE), sessions.begin(ALICE)

    assert sessions.form_token(one.id) != sessions.form_token(other.id)


def test_a_session_that_is_idle_ends(sessions: Sessions, later: Callable[[float], None]) -> None:
    cookie = sessions.write(sessions.begin(ALICE))

    later(IDLE - 5)
    assert sessions.read(cookie) is not None
    later(10)
    assert sessions.read(cookie) is None


def test_a_session_that_is_used_goes_on_until_its_lifetime_is_over(
    sessions: Sessions, later: Callable[[float], None]
) -> None:
    session = sessions.begin(ALICE)
    for _ in range(int(LIFETIME / IDLE * 2) - 1):
        later(IDLE / 2)
        renewed = sessions.renewed(session)
        assert renewed is not None
        read = sessions.read(sessions.write(renewed))
        assert read is not None
        assert (read.id, read.begun) == (session.id, session.begun)
        session = read

    later(IDLE / 2 + 5)

    renewed = sessions.renewed(session)
    assert renewed is not None
    assert sessions.read(sessions.write(renewed)) is None


def test_a_cookie_is_not_written_again_with_every_page(sessions: Sessions, later: Callable[[float], None]) -> None:
    session = sessions.begin(ALICE)

    assert sessions.renewed(session) is None
    later(IDLE / 10 + 1)
    assert sessions.renewed(session) is not None


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "\u00e4", "e30.e30.", "\x00"])
def test_what_nobody_here_has_written_is_no_session(sessions: Sessions, forged: str) -> None:
    assert sessions.read(forged) is None


def test_a_session_without_a_signature_is_none(sessions: Sessions) -> None:
    claims = jwt.decode(sessions.write(sessions.begin(ALICE)), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", "none")

    assert sessions.read(unsigned) is None


def test_a_session_of_the_future_is_none(sessions: Sessions, later: Callable[[float], None]) -> None:
    later(3600)
    cookie = sessions.write(sessions.begin(ALICE))
    later(-3600)

    assert sessions.read(cookie) is None
