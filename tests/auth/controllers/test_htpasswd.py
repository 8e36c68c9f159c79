from __future__ import annotations

import logging
import os
import shutil
import stat
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import bcrypt
import pytest

from auth.base import ControllerError, Grant, UnauthorizedError
from auth.controllers.htpasswd import HtpasswdController
from auth.headers import Credentials
from auth.identities.passwords import MEMORY_SECONDS, PasswordFile
from auth.identities.throttle import FailureThrottle
from auth.identities.user_file import delete_user, set_password, users
from registry.foundation.errors import ParameterError
from tests.auth.asking import basic, challenge, on, request
from tests.auth.conformance import AccessConformance, Welcome
from tests.auth.files import Clock, line

if TYPE_CHECKING:
    from pathlib import Path


def controller_of(path: Path) -> HtpasswdController:
    return HtpasswdController.from_parameters({"realm": "Registry Realm", "path": str(path)})


def lets_in(controller: HtpasswdController, user: str, password: str) -> bool:
    try:
        return controller.authorize(request(basic(user, password)), []) == Grant(user)
    except UnauthorizedError:
        return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(line("alice", "correct horse") + line("bob", "battery staple"))
    return path


class TestHtpasswdController(AccessConformance):
    @pytest.fixture
    def controller(self, path: Path) -> HtpasswdController:
        return controller_of(path)

    @pytest.fixture
    def welcome(self) -> Welcome:
        return Welcome(basic("alice", "correct horse"), "alice", "correct horse")

    @pytest.fixture
    def wrong(self) -> str:
        return basic("alice", "incorrect horse")


def test_the_challenge_is_the_go_registrys(path: Path) -> None:
    assert challenge(controller_of(path), request()) == 'Basic realm="Registry Realm"'


def test_blank_lines_comments_and_blanks_around_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"\n# comment:here\n   \n  {line('alice', 'a')}\r\n\t# more\n{line('bob', 'b').strip()}")
    controller = controller_of(path)
    assert lets_in(controller, "alice", "a")
    assert lets_in(controller, "bob", "b")


def test_the_last_line_of_a_user_counts(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(line("alice", "old") + line("bob", "b") + line("alice", "new"))
    controller = controller_of(path)
    assert lets_in(controller, "alice", "new")
    assert not lets_in(controller, "alice", "old")


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_every_spelling_of_bcrypt_is_accepted(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(line("alice", "a").replace("$2b$", prefix))
    assert lets_in(controller_of(path), "alice", "a")


def test_what_follows_a_hash_counts_for_nothing_as_in_go(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"{line('alice', 'a').strip()}:a comment\n{line('bob', 'b').strip()} since:monday\n")
    controller = controller_of(path)
    assert lets_in(controller, "alice", "a")
    assert lets_in(controller, "bob", "b")


@pytest.mark.skipif(not shutil.which("htpasswd"), reason="Apache's htpasswd is not installed")
def test_lines_that_apache_writes_with_bcrypt_work(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    subprocess.run(["htpasswd", "-cbB", "-C", "5", path, "alice", "apache's own"], check=True, capture_output=True)
    assert lets_in(controller_of(path), "alice", "apache's own")


@pytest.mark.parametrize(
    ("hashed", "kind"),
    [
        ("$apr1$aFDth43X$Lid/90UTSZHgXU07OQCt0/", "MD5"),
        ("{SHA}UWuXg/ylF+7L0dBk2i0WUxCxl1k=", "SHA-1"),
        ("$5$rounds=5000$usesomesillystri$KqJWpanXZHKq2BOB43TSaYhEWsQ1Lr5QNyPCDH/Tp.6", "SHA-256"),
        ("$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKREYwK", "SHA-512"),
        ("p", "plain text"),
        ("", "plain text"),
        ("$2y$05$tooshort", "malformed"),
        ("$2y$99$saUiLBigrF5QxJmpq1r.VONB7LQ4ck3pm0iNMOqNOY5p24kgOQ6UG", "malformed"),
    ],
)
def test_other_hashes_never_match_and_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hashed: str, kind: str
) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"mallory:{hashed}\n" + line("alice", "a"))
    controller = controller_of(path)
    assert not lets_in(controller, "mallory", "p")
    assert not lets_in(controller, "mallory", "")
    assert lets_in(controller, "alice", "a")
    assert any(kind in each.getMessage() and "htpasswd -B" in each.getMessage() for each in caplog.records)
    assert len(hashed) < 2 or hashed not in caplog.text


def test_a_line_without_a_colon_breaks_the_file_until_it_is_mended(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    controller = controller_of(path)
    assert lets_in(controller, "alice", "correct horse")
    path.write_text("nonsense\n")
    for _ in range(3):
        with pytest.raises(ControllerError, match="line 1 has no colon"):
            controller.authorize(request(basic("alice", "correct horse")), [])
    assert caplog.text.count("line 1 has no colon") == 1
    path.write_text(line("alice", "mended"))
    assert lets_in(controller, "alice", "mended")


def test_a_file_that_vanishes_lets_nobody_in(path: Path) -> None:
    controller = controller_of(path)
    assert lets_in(controller, "alice", "correct horse")
    path.unlink()
    with pytest.raises(ControllerError):
        controller.authorize(request(basic("alice", "correct horse")), [])


def test_a_stranger_is_challenged_even_while_the_file_is_broken(path: Path) -> None:
    path.write_text("nonsense")
    assert challenge(controller_of(path), request())


def test_a_name_that_is_not_utf8_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "htpasswd"
    path.write_bytes(b"\xff" + line("x", "x").encode() + b"n" * 300 + line("n", "n").encode() + line("a", "a").encode())
    assert lets_in(controller_of(path), "a", "a")
    assert "not UTF-8" in caplog.text
    assert "more than 255 bytes" in caplog.text


class TestAMissingFile:
    def test_it_is_made_with_a_random_password_that_is_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "htpasswd"
        controller_of(path)
        controller = controller_of(path)
        (record,) = [each for each in caplog.records if "provisioning with default user" in each.getMessage()]
        assert record.levelno == logging.WARNING
        password = vars(record)["password"]
        assert len(password) == 43
        assert lets_in(controller, "docker", password)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes().startswith(b"docker:$2y$10$")
        assert not path.read_bytes().endswith(b"\n")
        assert [each.name for each in path.parent.iterdir()] == ["htpasswd"]

    def test_where_it_cannot_be_made_the_start_stops_with_its_path(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ParameterError, match="file/htpasswd"):
            controller_of(tmp_path / "file" / "htpasswd")


class TestAChangedFile:
    def test_it_is_read_again_when_it_is_replaced(self, path: Path) -> None:
        controller = controller_of(path)
        assert lets_in(controller, "alice", "correct horse")
        new = path.with_name("new")
        new.write_text(line("alice", "changed"))
        new.replace(path)
        assert not lets_in(controller, "alice", "correct horse")
        assert lets_in(controller, "alice", "changed")

    def test_it_is_read_again_when_a_link_is_swapped(self, tmp_path: Path) -> None:
        for version, password in (("v1", "one"), ("v2", "two")):
            (tmp_path / version).mkdir()
            (tmp_path / version / "htpasswd").write_text(line("alice", password))
            os.utime(tmp_path / version / "htpasswd", (1, 1))
        link = tmp_path / "data"
        link.symlink_to("v1")
        controller = controller_of(link / "htpasswd")
        assert lets_in(controller, "alice", "one")
        fresh = tmp_path / "fresh"
        fresh.symlink_to("v2")
        fresh.replace(link)
        assert not lets_in(controller, "alice", "one")
        assert lets_in(controller, "alice", "two")

    def test_it_is_read_again_when_only_its_content_differs(self, path: Path) -> None:
        path.write_text(line("alice", "one"))
        os.utime(path, (1, 1))
        controller = controller_of(path)
        assert lets_in(controller, "alice", "one")
        time.sleep(0.02)
        path.write_text(line("alice", "two"))
        os.utime(path, (1, 1))
        assert not lets_in(controller, "alice", "one")


class TestLongPasswords:
    def test_bytes_past_the_72nd_count_for_nothing_as_in_go(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        path.write_text(line("alice", "x" * 72))
        controller = controller_of(path)
        assert lets_in(controller, "alice", "x" * 72)
        assert lets_in(controller, "alice", "x" * 72 + "whatever" * 100)
        assert not lets_in(controller, "alice", "x" * 71)

    def test_a_zero_byte_ends_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        path.write_text(line("alice", b"a\0b"))
        controller = controller_of(path)
        assert lets_in(controller, "alice", "a\0b")
        assert not lets_in(controller, "alice", "a\0c")
        assert not lets_in(controller, "alice", "a")

    def test_a_password_may_have_colons_and_any_letters(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        path.write_text(line("älice", "p:w:ü💥"))
        assert lets_in(controller_of(path), "älice", "p:w:ü💥")


class TestTheMemoryOfPasswords:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def checks(self, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
        """Every hash that bcrypt was asked about; it cannot be counted from outside."""
        seen: list[bytes] = []
        real = bcrypt.checkpw

        def counting(password: bytes, hashed: bytes) -> bool:
            seen.append(hashed)
            return real(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", counting)
        return seen

    @pytest.fixture
    def passwords(self, path: Path, clock: Clock) -> PasswordFile:
        return PasswordFile(str(path), FailureThrottle(clock), clock)

    def test_what_matched_is_not_checked_again_for_five_minutes(
        self, passwords: PasswordFile, clock: Clock, checks: list[bytes]
    ) -> None:
        alice = Credentials("alice", b"correct horse")
        for _ in range(5):
            assert passwords.matches(alice, "192.0.2.1")
        assert len(checks) == 1
        clock.now += MEMORY_SECONDS
        assert passwords.matches(alice, "192.0.2.1")
        assert len(checks) == 2

    def test_what_failed_is_checked_every_time(self, passwords: PasswordFile, checks: list[bytes]) -> None:
        for _ in range(3):
            assert not passwords.matches(Credentials("alice", b"wrong"), "192.0.2.1")
        assert len(checks) == 3

    def test_a_change_of_the_file_drops_it(self, passwords: PasswordFile, path: Path, checks: list[bytes]) -> None:
        alice = Credentials("alice", b"correct horse")
        passwords.matches(alice, "192.0.2.1")
        path.write_text(path.read_text() + line("carol", "c"))
        assert passwords.matches(alice, "192.0.2.1")
        assert len(checks) == 2

    def test_a_password_of_one_user_is_not_that_of_another(self, passwords: PasswordFile) -> None:
        assert passwords.matches(Credentials("alice", b"correct horse"), "192.0.2.1")
        assert not passwords.matches(Credentials("bob", b"correct horse"), "192.0.2.1")
        assert not passwords.matches(Credentials("nobody", b"correct horse"), "192.0.2.1")

    def test_a_stranger_costs_exactly_one_check(self, passwords: PasswordFile, checks: list[bytes]) -> None:
        assert not passwords.matches(Credentials("nobody", b"x"), "192.0.2.1")
        assert len(checks) == 1

    def test_a_stranger_who_guesses_the_password_of_the_stand_in_stays_out(self, tmp_path: Path) -> None:
        path = tmp_path / "one"
        path.write_text(line("alice", "only one"))
        passwords = PasswordFile(str(path), FailureThrottle())
        for _ in range(2):
            assert not passwords.matches(Credentials("nobody", b"only one"), "192.0.2.1")

    def test_nothing_kept_is_a_password(self, passwords: PasswordFile) -> None:
        passwords.matches(Credentials("alice", b"correct horse"), "192.0.2.1")
        assert b"correct horse" not in repr(vars(passwords)).encode()
        assert "correct horse" not in repr(Credentials("alice", b"correct horse"))


def test_an_unknown_user_takes_as_long_as_a_wrong_password(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(line("alice", "a", cost=8))
    passwords = PasswordFile(str(path), FailureThrottle())

    def seconds(user: str, number: int) -> float:
        # Of this thread's processor, which a busy machine does not stretch.
        start = time.thread_time()
        passwords.matches(Credentials(user, b"wrong"), f"192.0.2.{number}")
        return time.thread_time() - start

    known, unknown = [], []
    for number in range(15):
        known.append(seconds("alice", number))
        unknown.append(seconds(f"nobody{number}", number))
    assert statistics.median(unknown) == pytest.approx(statistics.median(known), rel=0.35)


class TestWritingEntries:
    def test_an_entry_is_added_and_changed_and_the_rest_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        assert set_password(str(path), "alice", b"one")
        path.write_text("# ours\n" + path.read_text() + line("bob", "b"))
        assert not set_password(str(path), "alice", b"two")
        assert path.read_text().startswith("# ours\nalice:$2y$10$")
        controller = controller_of(path)
        assert lets_in(controller, "alice", "two")
        assert lets_in(controller, "bob", "b")

    def test_the_entry_that_counts_is_the_one_that_changes(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        path.write_text(line("alice", "one") + line("alice", "two"))
        set_password(str(path), "alice", b"three")
        assert lets_in(controller_of(path), "alice", "three")

    def test_a_user_who_is_deleted_is_out_with_every_line_and_the_rest_stays_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        rest = "# alice:\n" + line("bob", "b") + " \r\nalicea:x"
        path.write_text(line("alice", "one") + rest.replace("# alice", "#") + "\n " + line("alice", "two"), newline="")
        assert delete_user(str(path), "alice")
        assert path.read_bytes() == rest.replace("# alice", "#").encode() + b"\n"
        assert not delete_user(str(path), "alice")
        assert not lets_in(controller_of(path), "alice", "two")

    def test_users_are_listed_once_with_what_keeps_them_out(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        path.write_text("# ours\nalice:{SHA}x\nbob:plain\n" + line("alice", "one"))
        found = users(str(path))
        assert list(found) == ["alice", "bob"]
        assert not found["alice"]
        assert "only bcrypt is accepted" in found["bob"]

    def test_two_who_change_the_file_at_once_lose_no_entry(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        path.write_text("".join(line(f"old{number}", "x") for number in range(4)))
        script = (
            "import sys; from auth.identities.user_file import *\n"
            f"path, number = {str(path)!r}, sys.argv[1]\n"
            "set_password(path, 'new' + number, b'x'); delete_user(path, 'old' + number)"
        )
        children = [subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(4)]
        assert [child.wait() for child in children] == [0] * 4
        assert set(users(str(path))) == {"new0", "new1", "new2", "new3"}

    def test_no_directory_is_made_for_a_path_that_may_be_mistyped(self, tmp_path: Path) -> None:
        path = str(tmp_path / "ayth" / "htpasswd")
        with pytest.raises(FileNotFoundError, match=f"there is no directory {tmp_path}/ayth"):
            set_password(path, "alice", b"x")
        with pytest.raises(FileNotFoundError, match=f"there is no file {path}"):
            delete_user(path, "alice")
        with pytest.raises(ParameterError, match=f"there is no directory {tmp_path}/ayth"):
            controller_of(tmp_path / "ayth" / "htpasswd")
        assert list(tmp_path.iterdir()) == []

    def test_mode_and_link_are_kept(self, tmp_path: Path) -> None:
        path, link = tmp_path / "htpasswd", tmp_path / "link"
        path.write_text(line("bob", "b"))
        path.chmod(0o644)
        link.symlink_to(path)
        set_password(str(link), "alice", b"one")
        assert link.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert lets_in(controller_of(path), "alice", "one")

    @pytest.mark.skipif(not shutil.which("htpasswd"), reason="Apache's htpasswd is not installed")
    def test_apache_accepts_what_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "htpasswd"
        set_password(str(path), "alice", b"secret")
        subprocess.run(["htpasswd", "-vb", path, "alice", "secret"], check=True, capture_output=True)

    @pytest.mark.parametrize("user", ["", "a:b", "a\nb", "#a", " a", "x" * 300])
    def test_a_name_that_cannot_stand_in_the_file_is_refused(self, tmp_path: Path, user: str) -> None:
        with pytest.raises(ValueError, match=r"name|character|user"):
            set_password(str(tmp_path / "htpasswd"), user, b"x")
        assert not (tmp_path / "htpasswd").exists()

    def test_a_password_past_72_bytes_is_refused_rather_than_cut(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="72"):
            set_password(str(tmp_path / "htpasswd"), "alice", b"x" * 73)


def test_many_processes_making_one_file_agree(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    script = f"from auth.identities.passwords import provision; provision({str(path)!r})"
    children = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    logged = "".join(child.communicate()[1] for child in children)
    assert logged.count("provisioning") == 1
    assert path.read_text().count("docker:") == 1


def test_everything_is_granted_to_whoever_has_a_password(path: Path) -> None:
    controller = controller_of(path)
    assert controller.grants_everything
    everything = on("any/thing", "pull", "push", "delete", "overwrite")
    assert controller.authorize(request(basic("bob", "battery staple")), everything) == Grant("bob")
