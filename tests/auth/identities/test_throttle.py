"""Who fails to log in is slowed down, and nobody else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import bcrypt
import pytest

from auth.base import ThrottledError
from auth.headers import Credentials
from auth.identities.passwords import MEMORY_SECONDS, PasswordFile
from auth.identities.throttle import FailureThrottle
from registry.foundation.shared_set import SharedSet
from tests.auth.files import Clock, line
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(line("alice", "correct horse") + line("bob", "battery staple"))
    return path


class TestFailures:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def throttle(self, clock: Clock) -> FailureThrottle:
        return FailureThrottle(clock)

    def test_one_user_from_one_address_is_slowed_down_and_recovers(
        self, throttle: FailureThrottle, clock: Clock
    ) -> None:
        for _ in range(20):
            throttle.check("192.0.2.1", "alice")
            throttle.failed("192.0.2.1", "alice")
        with pytest.raises(ThrottledError) as caught:
            throttle.check("192.0.2.1", "alice")
        assert caught.value.retry_after_seconds == 2
        throttle.check("192.0.2.1", "bob")
        throttle.check("192.0.2.2", "alice")
        clock.now += 2
        throttle.check("192.0.2.1", "alice")

    def test_one_address_that_tries_many_users_is_slowed_down(self, throttle: FailureThrottle, clock: Clock) -> None:
        for number in range(60):
            assert throttle.delay_seconds("192.0.2.1", f"user{number}") is None
            throttle.failed("192.0.2.1", f"user{number}")
        assert [throttle.delay_seconds("192.0.2.1", "another") for _ in range(6)] == [0, 1, 2, 3, 4, 5]
        with pytest.raises(ThrottledError) as caught:
            throttle.delay_seconds("192.0.2.1", "another")
        assert caught.value.retry_after_seconds == 6
        assert throttle.delay_seconds("192.0.2.2", "another") is None
        clock.now += 60
        assert throttle.delay_seconds("192.0.2.1", "another") is None

    def test_many_addresses_that_try_one_user_do_not_lock_it_out(self, throttle: FailureThrottle) -> None:
        for number in range(500):
            throttle.failed(f"192.0.{number % 2}.{number // 2}", "alice")
        assert throttle.delay_seconds("198.51.100.1", "alice") is None

    def test_one_user_who_fails_does_not_slow_down_the_others_at_its_address(
        self, throttle: FailureThrottle, clock: Clock
    ) -> None:
        refused = 0
        for _ in range(300):
            clock.now += 0.1
            try:
                throttle.check("192.0.2.1", "broken job")
            except ThrottledError:
                refused += 1
            else:
                throttle.failed("192.0.2.1", "broken job")
        assert refused > 200
        assert throttle.delay_seconds("192.0.2.1", "alice") is None

    def test_addresses_of_one_ipv6_network_count_together(self, throttle: FailureThrottle) -> None:
        for number in range(60):
            throttle.failed(f"2001:db8::{number:x}", f"user{number}")
        assert throttle.delay_seconds("2001:db8::ffff", "another") is not None
        assert throttle.delay_seconds("2001:db8:0:1::1", "another") is None

    def test_its_memory_is_bounded(self, throttle: FailureThrottle) -> None:
        for number in range(25_000):
            throttle.failed(f"address{number}", f"user{number}")
        tables = (throttle._pairs._forgotten_at, throttle._addresses._forgotten_at)
        assert [len(table._entries) for table in tables] == [10_000] * 2

    def test_a_remembered_password_is_let_in_while_its_user_is_under_attack(self, path: Path, clock: Clock) -> None:
        passwords = PasswordFile(str(path), FailureThrottle(clock), clock)
        alice = Credentials("alice", b"correct horse")
        assert passwords.matches(alice, "192.0.2.1")
        for _ in range(20):
            passwords.matches(Credentials("alice", b"guess"), "192.0.2.1")
        with pytest.raises(ThrottledError):
            passwords.matches(Credentials("alice", b"guess"), "192.0.2.1")
        assert passwords.matches(alice, "192.0.2.1")


class TestAStrangerLocksNobodyOut:
    """Whoever guesses, from wherever: the user with the right password gets in."""

    ALICE = Credentials("alice", b"correct horse")
    NAT = "192.0.2.1"

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def sleeps(self) -> list[float]:
        return []

    @pytest.fixture
    def passwords(self, path: Path, clock: Clock, sleeps: list[float]) -> PasswordFile:
        return PasswordFile(str(path), FailureThrottle(clock), clock, sleeps.append)

    def lock(self, passwords: PasswordFile, address: str = NAT) -> None:
        for _ in range(20):
            assert not passwords.matches(Credentials("alice", b"guess"), address)
        with pytest.raises(ThrottledError):
            passwords.matches(Credentials("alice", b"guess"), address)

    def test_from_another_address_a_first_login_is_let_in(self, passwords: PasswordFile, sleeps: list[float]) -> None:
        for number in range(10):
            self.lock(passwords, f"198.51.100.{number}")
        assert passwords.matches(self.ALICE, self.NAT)
        assert sleeps == []

    def test_a_proven_login_is_let_in_from_the_address_of_who_guesses(
        self, passwords: PasswordFile, clock: Clock, path: Path
    ) -> None:
        assert passwords.matches(self.ALICE, "203.0.113.1")
        self.lock(passwords)
        clock.now += MEMORY_SECONDS
        self.lock(passwords)
        assert passwords.matches(self.ALICE, self.NAT)
        path.write_text(path.read_text() + line("carol", "c"))
        assert passwords.matches(self.ALICE, self.NAT)

    def test_a_login_that_another_process_has_proven_is_let_in(self, passwords: PasswordFile, path: Path) -> None:
        other, proven = PasswordFile(str(path), FailureThrottle()), SharedSet()
        passwords.share(proven)
        other.share(proven)
        assert other.matches(self.ALICE, self.NAT)
        self.lock(passwords)
        assert passwords.matches(self.ALICE, self.NAT)
        assert not passwords.matches(Credentials("bob", b"correct horse"), self.NAT)

    def test_a_password_that_was_changed_is_not_proven_any_more(self, passwords: PasswordFile, path: Path) -> None:
        assert passwords.matches(self.ALICE, self.NAT)
        path.write_text(line("alice", "changed"))
        self.lock(passwords)
        with pytest.raises(ThrottledError):
            passwords.matches(self.ALICE, self.NAT)

    def test_behind_the_address_of_who_tries_many_users_a_first_login_waits_and_is_let_in(
        self, passwords: PasswordFile, sleeps: list[float]
    ) -> None:
        for number in range(60):
            assert not passwords.matches(Credentials(f"user{number}", b"guess"), self.NAT)
        for number in range(60, 64):
            with pytest.raises(ThrottledError):
                passwords.matches(Credentials(f"user{number}", b"guess"), self.NAT)
        assert passwords.matches(self.ALICE, self.NAT)
        assert sleeps == [1, 2, 3, 4]

    def test_a_user_who_is_not_there_is_slowed_down_like_one_who_is(self, passwords: PasswordFile) -> None:
        for user in ("alice", "nobody"):
            answers: list[object] = []
            for _ in range(21):
                try:
                    answers.append(passwords.matches(Credentials(user, b"guess"), self.NAT))
                except ThrottledError as error:
                    answers.append(error.retry_after_seconds)
            assert answers == [False] * 20 + [2]


class TestAFloodOfGuesses:
    ALICE = Credentials("alice", b"correct horse")
    BOB = Credentials("bob", b"battery staple")

    @pytest.fixture
    def gate(self, monkeypatch: pytest.MonkeyPatch) -> Gate:
        """Hold up bcrypt, whose duration cannot be relied on, and note what is checked."""
        gate = Gate(bcrypt.checkpw)
        monkeypatch.setattr(bcrypt, "checkpw", gate.check)
        return gate

    def test_is_checked_one_at_a_time_and_those_who_have_logged_in_pass_it(self, path: Path, gate: Gate) -> None:
        clock = Clock()
        passwords = PasswordFile(str(path), FailureThrottle(clock), clock)
        assert passwords.matches(self.BOB, "192.0.2.2")
        clock.now += MEMORY_SECONDS
        assert passwords.matches(self.ALICE, "192.0.2.1")
        gate.close(b"guess")
        with ThreadPoolExecutor(30) as pool:
            guesses = [
                pool.submit(passwords.matches, Credentials(f"user{number}", b"guess"), "192.0.2.1")
                for number in range(30)
            ]
            wait_until("one is being checked", lambda: gate.most == 1)
            assert passwords.matches(self.ALICE, "192.0.2.1")
            assert passwords.matches(self.BOB, "192.0.2.1")
            gate.open()
            assert not any(guess.result() for guess in guesses)
        assert gate.most == 1
        assert gate.checked.count(b"guess") == 30

    def test_from_one_address_lets_another_one_be_next(self, path: Path, gate: Gate) -> None:
        passwords = PasswordFile(str(path), FailureThrottle())
        gate.close(b"guess")
        with ThreadPoolExecutor(11) as pool:
            for number in range(10):
                pool.submit(passwords.matches, Credentials(f"user{number}", b"guess"), "192.0.2.1")
            wait_until("nine wait", lambda: sum(map(len, passwords._guesses._waiting.values())) == 9)
            alice = pool.submit(passwords.matches, self.ALICE, "192.0.2.2")
            wait_until("alice waits", lambda: sum(map(len, passwords._guesses._waiting.values())) == 10)
            gate.open()
            assert alice.result()
        assert gate.checked.index(b"correct horse") <= 2

    def test_beyond_what_may_wait_is_refused_at_once(self, path: Path, gate: Gate) -> None:
        passwords = PasswordFile(str(path), FailureThrottle())
        gate.close(b"guess")
        with ThreadPoolExecutor(60) as pool:
            guesses = [
                pool.submit(passwords.matches, Credentials(f"user{number}", b"guess"), "192.0.2.1")
                for number in range(60)
            ]
            wait_until("some are refused", lambda: sum(guess.done() for guess in guesses) == 11)
            gate.open()
        refused = [guess.exception() for guess in guesses if guess.exception()]
        assert [str(each) for each in refused] == ["too many log in at a time, try again in 1 s"] * 11

    def test_of_one_user_stops_where_its_failures_do(self, path: Path, gate: Gate) -> None:
        passwords = PasswordFile(str(path), FailureThrottle())
        gate.close(b"guess")
        with ThreadPoolExecutor(40) as pool:
            guesses = [pool.submit(passwords.matches, Credentials("alice", b"guess"), "192.0.2.1") for _ in range(40)]
            wait_until("the others wait", lambda: sum(map(len, passwords._guesses._waiting.values())) == 39)
            gate.open()
        assert sum(guess.exception() is None for guess in guesses) == len(gate.checked) == 20

    def test_logins_of_one_user_at_a_time_cost_one_check(self, path: Path, gate: Gate) -> None:
        passwords = PasswordFile(str(path), FailureThrottle())
        gate.close(b"correct horse")
        with ThreadPoolExecutor(20) as pool:
            logins = [pool.submit(passwords.matches, self.ALICE, "192.0.2.1") for _ in range(20)]
            wait_until("the others wait", lambda: sum(map(len, passwords._guesses._waiting.values())) == 19)
            gate.open()
            assert all(login.result() for login in logins)
        assert gate.checked == [b"correct horse"]

    def test_lets_the_server_attend_to_others_before_it_waits_and_not_for_what_is_remembered(self, path: Path) -> None:
        told: list[str] = []
        passwords = PasswordFile(str(path), FailureThrottle())
        assert passwords.matches(self.ALICE, "192.0.2.1", lambda: told.append("first"))
        assert passwords.matches(self.ALICE, "192.0.2.1", lambda: told.append("remembered"))
        assert told == ["first"]


class Gate:
    """Stands in front of bcrypt, and is closed to one password for a while."""

    def __init__(self, check: Callable[[bytes, bytes], bool]) -> None:
        self._check = check
        self._closed_to = b""
        self._opened = threading.Event()
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0
        self.checked: list[bytes] = []

    def close(self, password: bytes) -> None:
        self._closed_to = password
        self.most, self.checked = 0, []

    def open(self) -> None:
        self._opened.set()

    def check(self, password: bytes, hashed: bytes) -> bool:
        with self._lock:
            self.checked.append(password)
            if password == self._closed_to:
                self._inside += 1
                self.most = max(self.most, self._inside)
        if password == self._closed_to:
            self._opened.wait(60)
        matched = self._check(password, hashed)
        if password == self._closed_to:
            with self._lock:
                self._inside -= 1
        return matched
