"""Refresh tokens: which rotate, what ends a login, and what is known of it."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth.base import ControllerError, UnauthorizedError
from auth.controllers.local import LocalController
from auth.tokens.jws import unverified
from auth.tokenservice.logins import GRACE_SECONDS, MOST_LOGINS, LoginRevokedError, Logins, RefreshToken
from tests.auth.asking import basic, on, request
from tests.auth.controllers.test_local import entry
from tests.auth.issuing import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALICE = basic("alice", "wonderland")
ENGINES = [
    "docker",
    "containerd-client",
    "go-containerregistry",
    "containers/image",
    "regclient/regctl (v1)",
    "oras-go",
]
DAY_SECONDS = 86_400


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    return Logins(str(tmp_path / "refresh-tokens"))


@pytest.fixture
def build(tmp_path: Path) -> Callable[[], LocalController]:
    (tmp_path / "htpasswd").write_text(entry("alice", "wonderland") + entry("bob", "builder"))
    rules = [{"repositories": "**", "authenticated": ["pull"]}]
    return lambda: LocalController.from_parameters({"htpasswd": str(tmp_path / "htpasswd"), "rules": rules})


@pytest.fixture
def controller(build: Callable[[], LocalController], clock: Clock) -> LocalController:
    controller = build()
    assert controller.token_service
    controller._endpoint._logins._clock = clock
    return controller


def log_in(controller: LocalController, client: str = "", who: str = ALICE) -> str:
    assert controller.token_service
    fields = {"offline_token": ["true"], **({"client_id": [client]} if client else {})}
    return str(controller.token_service.issue(request(who), fields).members["refresh_token"])


def refresh(controller: LocalController, token: str, client: str = "") -> str:
    """Use a refresh token, and return the one that comes with the answer."""
    assert controller.token_service
    fields = {"grant_type": ["refresh_token"], "refresh_token": [token], "client_id": [client]}
    fields["scope"] = ["repository:team/a:pull"]
    got = controller.token_service.exchange(request(), fields).members
    assert controller.authorize(request(f"Bearer {got['access_token']}"), on("team/a", "pull"))
    return str(got["refresh_token"])


def is_refused(controller: LocalController, token: str, client: str = "") -> bool:
    try:
        refresh(controller, token, client)
    except UnauthorizedError:
        return True
    return False


class TestRotation:
    def test_each_use_gives_another_token_that_ends_when_the_first_would_have(
        self, controller: LocalController
    ) -> None:
        tokens = [log_in(controller)]
        for _ in range(5):
            tokens.append(refresh(controller, tokens[-1]))
        assert len(set(tokens)) == 6
        assert len({str(unverified(token)[1]["exp"]) for token in tokens}) == 1

    def test_reuse_of_a_token_whose_successor_was_used_revokes_the_login(
        self, controller: LocalController, clock: Clock, logins: Logins, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = log_in(controller)
        stolen = log_in(controller)
        second = refresh(controller, stolen)
        third = refresh(controller, second)
        clock.now += GRACE_SECONDS + 1

        assert is_refused(controller, stolen)

        assert all(is_refused(controller, token) for token in (stolen, second, third))
        assert "its successor was used before, so login" in caplog.text
        assert not is_refused(controller, other)
        assert sorted(login.revoked for login in logins.all()) == [False, True]

    def test_an_answer_that_was_lost_is_asked_for_again_however_late(
        self, controller: LocalController, clock: Clock
    ) -> None:
        first = log_in(controller)
        for _ in range(3):
            lost = refresh(controller, first)
            clock.now += DAY_SECONDS
        assert not is_refused(controller, lost)

    def test_a_client_that_does_several_things_at_once_goes_on(self, controller: LocalController, clock: Clock) -> None:
        first = log_in(controller)
        with ThreadPoolExecutor(8) as pool:
            seconds = list(pool.map(lambda _: refresh(controller, first), range(8)))
            thirds = list(pool.map(lambda token: refresh(controller, token), seconds))
        assert not is_refused(controller, first)
        clock.now += 1
        assert not any(is_refused(controller, token) for token in seconds)
        assert not is_refused(controller, thirds[0])

    def test_the_grace_is_for_the_last_token_but_one_only(self, controller: LocalController) -> None:
        first = log_in(controller)
        third = refresh(controller, refresh(controller, first))
        refresh(controller, third)
        assert is_refused(controller, first)
        assert is_refused(controller, third)

    @pytest.mark.parametrize("client", ENGINES)
    def test_registry_clients_keep_the_token_that_they_have(
        self, controller: LocalController, clock: Clock, client: str
    ) -> None:
        token = log_in(controller, client)
        for other in (client, "docker", ""):
            for _ in range(2):
                assert refresh(controller, token, other) == token
                clock.now += DAY_SECONDS

    @pytest.mark.parametrize("client", ENGINES)
    def test_one_that_is_lent_to_a_registry_client_is_not_used_up_by_it(
        self, controller: LocalController, client: str
    ) -> None:
        token = log_in(controller)
        assert refresh(controller, token, client) == token
        assert refresh(controller, token) != token

    def test_a_thief_who_says_to_be_docker_is_found_out_when_the_client_goes_on(
        self, controller: LocalController, clock: Clock
    ) -> None:
        stolen = log_in(controller)
        assert refresh(controller, stolen, "docker") == stolen
        last = refresh(controller, refresh(controller, stolen))
        clock.now += GRACE_SECONDS + 1
        assert is_refused(controller, stolen, "docker")
        assert is_refused(controller, last)


class TestRevocation:
    def test_a_token_ends_when_its_record_says_however_long_signing_takes(
        self, controller: LocalController, logins: Logins
    ) -> None:
        ticking = iter(range(int(time.time()), int(time.time()) + 10_000))
        controller._issuer._clock = lambda: next(ticking)
        token = log_in(controller)
        (login,) = logins.all()
        assert unverified(token)[1]["exp"] == login.expires

    def test_it_ends_one_login_at_once_in_every_process(
        self, controller: LocalController, build: Callable[[], LocalController], logins: Logins
    ) -> None:
        tokens = [log_in(controller, "docker"), log_in(controller, "docker")]
        one, _ = logins.of_user("alice")
        logins.revoke(one)
        for each in (controller, build()):
            assert sorted(is_refused(each, token) for token in tokens) == [False, True]
        assert sorted(login.revoked for login in logins.all()) == [False, True]

    def test_a_use_at_the_same_time_does_not_undo_it(self, controller: LocalController, logins: Logins) -> None:
        token = log_in(controller)
        (login,) = logins.all()
        logins.revoke(login)
        logins._record(login)
        assert is_refused(controller, token)
        assert [each.revoked for each in logins.all()] == [True]

    def test_a_login_that_another_host_began_or_an_older_registry_is_recorded_when_it_is_used(
        self, controller: LocalController, logins: Logins, tmp_path: Path
    ) -> None:
        foreign = log_in(controller, "docker")
        (login,) = logins.all()
        logins._path("alice", login.id, login.expires).unlink()
        assert not is_refused(controller, foreign)
        assert [each.id for each in logins.all()] == [login.id]

        header, claims = unverified(foreign)
        old = {name: value for name, value in claims.items() if name not in {"login", "generation", "rotates"}}
        key = load_pem_private_key((tmp_path / "token-key.pem").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        token = Issuer(key, "ES256", {"kid": header["kid"]}).token(old)
        assert refresh(controller, token) == token
        (recorded,) = [each for each in logins.all() if each.id == old["jti"]]
        logins.revoke(recorded)
        assert is_refused(controller, token)

    def test_what_cannot_be_looked_up_is_refused_to_all(self, controller: LocalController, logins: Logins) -> None:
        token = log_in(controller)
        (login,) = logins.all()
        path = logins._path("alice", login.id, login.expires)
        path.unlink()
        path.symlink_to(path)
        with pytest.raises(ControllerError):
            refresh(controller, token)


class TestRecords:
    def test_a_login_is_listed_with_who_when_and_where(self, controller: LocalController, logins: Logins) -> None:
        before = int(time.time())
        log_in(controller, "docker\n\x1b[31m" + "é" * 100)
        (login,) = logins.all()
        assert (login.user, login.client, login.address) == ("alice", "docker[31m", "192.0.2.1")
        assert before <= login.created <= login.used <= login.expires - 89 * DAY_SECONDS
        assert (login.rotates, login.revoked) == (False, False)

    def test_use_is_noted_and_no_token_is(self, controller: LocalController, logins: Logins, tmp_path: Path) -> None:
        token = log_in(controller, "docker")
        (login,) = logins.all()
        path = logins._path("alice", login.id, login.expires)
        os.utime(path, (0, 0))
        refresh(controller, token, "docker")
        (used,) = logins.all()
        assert used.used > 0
        files = [each for each in (tmp_path / "refresh-tokens").rglob("*") if each.is_file()]
        assert not any(token.rpartition(".")[2] in each.read_text() for each in files)
        assert {each.stat().st_mode & 0o077 for each in files if each.suffix == ".json"} == {0}

    def test_what_has_expired_is_cleared_away(self, tmp_path: Path, clock: Clock) -> None:
        logins = Logins(str(tmp_path / "r"), clock)
        logins._directory.mkdir()
        for user, name in (("alice", "a"), ("alice", "b"), ("bob", "c")):
            logins.begin(RefreshToken(user, name, 0, int(clock.now) + 100, rotates=True), "", "")
        logins.revoke(next(logins.of_user("bob")))
        clock.now += 2 * 3600
        logins.begin(RefreshToken("alice", "d", 0, int(clock.now) + 100, rotates=True), "", "")
        assert [login.id for login in logins.all()] == ["d"]
        assert len([each for each in (tmp_path / "r").rglob("*") if each.is_file()]) == 1

    def test_a_user_cannot_fill_the_disk(self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("auth.tokenservice.logins.MOST_LOGINS", 5)
        assert MOST_LOGINS > 1000
        logins = Logins(str(tmp_path / "r"), clock)
        logins._directory.mkdir()
        for number in range(20):
            logins.begin(RefreshToken("alice", f"n{number}", 0, int(clock.now) + 100 + number, rotates=True), "", "")
            if number == 0:
                logins.revoke(next(logins.of_user("alice")))
        assert [login.id for login in logins.of_user("alice") if login.revoked] == ["n0"]
        assert len(list(logins.of_user("alice"))) == 5

    def test_where_nothing_can_be_recorded_logins_work_and_do_not_rotate(
        self, tmp_path: Path, build: Callable[[], LocalController], caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "refresh-tokens").write_text("not a directory")
        controller = build()
        assert "refresh tokens are not recorded in" in caplog.text
        token = log_in(controller)
        for _ in range(3):
            assert refresh(controller, token) == token

    def test_a_record_that_is_torn_is_written_anew(self, controller: LocalController, logins: Logins) -> None:
        token = log_in(controller)
        (login,) = logins.all()
        for torn in (b"", b"{", b"[]", b'{"id": "x"}', b"\xff"):
            logins._path("alice", login.id, login.expires).write_bytes(torn)
            assert not is_refused(controller, token)
            assert [each.id for each in logins.all()] == [login.id]

    def test_a_name_that_leads_out_of_the_directory_is_refused(self, logins: Logins) -> None:
        with pytest.raises(LoginRevokedError):
            logins.use(RefreshToken("alice", "../../x", 0, 9, rotates=False), "", "")

    def test_many_processes_raise_a_generation_to_the_highest(self, tmp_path: Path) -> None:
        logins = Logins.open(str(tmp_path / "r"))
        expires = int(time.time()) + 100
        logins.begin(RefreshToken("alice", "a", 0, expires, rotates=True), "", "")
        barrier = threading.Barrier(8)

        def use(generation: int) -> None:
            barrier.wait()
            token = RefreshToken("alice", "a", generation, expires, rotates=True)
            Logins(str(tmp_path / "r"))._raise(logins._path("alice", "a", expires), token.generation)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(use, range(1, 9)))
        (login,) = logins.all()
        assert login.generation == 8
