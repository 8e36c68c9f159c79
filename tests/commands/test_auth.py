from __future__ import annotations

import json
import re
import stat
import time
from typing import TYPE_CHECKING

import bcrypt
import pytest

from auth.identities.logouts import Logouts
from auth.tokenservice.logins import Logins, RefreshToken
from drivers.filesystem.driver import FilesystemDriver
from registry.storage.records import StorageRecords
from tests.commands.forked import run_forked

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

RULES = """
groups: {dev: [alice]}
rules:
  - {repositories: "team/**", "group:dev": [pull, push], anonymous: [pull]}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    local = f"{{htpasswd: {tmp_path}/htpasswd, apikeys: {tmp_path}/keys.json, rules: {tmp_path}/rules.yml}}"
    (tmp_path / "config.yml").write_text(f"version: 0.1\nstorage: inmemory\nauth: {{local: {local}}}\n")
    return tmp_path


def registry(directory: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return run_forked(arguments, stdin, {"REGISTRY_CONFIGURATION_PATH": str(directory / "config.yml")})


def test_htpasswd_adds_and_changes_a_user_of_the_configured_file(directory: Path) -> None:
    path = directory / "htpasswd"
    done = registry(directory, "htpasswd", "alice", "--password-stdin", stdin="one\n")
    assert (done.returncode, done.stdout) == (0, f"added alice in {path}\n")
    done = registry(directory, "htpasswd", "alice", "--password-stdin", stdin="two\n")
    assert (done.returncode, done.stdout) == (0, f"changed alice in {path}\n")
    user, _, hashed = path.read_text().strip().partition(":")
    assert user == "alice"
    assert bcrypt.checkpw(b"two", hashed.encode())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_htpasswd_takes_the_file_of_the_go_registrys_section_too(directory: Path) -> None:
    path = directory / "other"
    text = f"version: 0.1\nstorage: inmemory\nauth: {{htpasswd: {{realm: r, path: {path}}}}}\n"
    (directory / "config.yml").write_text(text)
    assert registry(directory, "htpasswd", "alice", "--password-stdin", stdin="one\n").returncode == 0
    assert path.read_text().startswith("alice:$2y$10$")


def test_htpasswd_lists_and_deletes_users(directory: Path) -> None:
    path = directory / "htpasswd"
    path.write_text("# ours\nbob:{SHA}x\n")
    registry(directory, "htpasswd", "alice", "--password-stdin", stdin="one\n")
    listed = registry(directory, "htpasswd", "--list")
    assert listed.stdout.splitlines()[1:] == ["alice"]
    assert listed.stdout.startswith("bob  cannot log in: the hash is SHA-1, only bcrypt")
    bob, alice = json.loads(registry(directory, "htpasswd", "--list", "--json").stdout)
    assert alice == {"user": "alice", "fault": None}
    assert bob["fault"].startswith("the hash is SHA-1")
    done = registry(directory, "htpasswd", "--delete", "alice")
    assert (done.returncode, done.stdout) == (0, f"deleted alice from {path}\n")
    assert path.read_text() == "# ours\nbob:{SHA}x\n"
    done = registry(directory, "htpasswd", "--delete", "alice")
    assert (done.returncode, done.stderr) == (1, f"Error: alice is not in {path}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("alice", "--list"),
        ("--list", "--delete"),
        ("--delete",),
        ("alice", "--json"),
        ("alice", "--delete", "--password-stdin"),
    ],
)
def test_htpasswd_with_flags_that_contradict_is_a_usage_error(directory: Path, arguments: tuple[str, ...]) -> None:
    done = registry(directory, "htpasswd", *arguments, stdin="x\n")
    assert done.returncode == 2
    assert not (directory / "htpasswd").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("htpasswd", "alice", "--password-stdin", "--file", "{}/ayth/htpasswd"),
        ("htpasswd", "--list", "--file", "{}/ayth/htpasswd"),
        ("htpasswd", "--delete", "alice", "--file", "{}/ayth/htpasswd"),
        ("auth", "key", "create", "--user", "ci", "--expires", "1d", "--file", "{}/ayth/keys"),
        ("auth", "key", "list", "--file", "{}/ayth/keys"),
        ("auth", "key", "revoke", "0123", "--file", "{}/ayth/keys"),
        ("auth", "token", "list", "--directory", "{}/ayth/tokens"),
    ],
)
def test_a_path_that_is_mistyped_is_an_error_and_makes_no_directory(
    directory: Path, arguments: tuple[str, ...]
) -> None:
    done = registry(directory, *(each.format(directory) for each in arguments), stdin="x\n")
    assert done.returncode in {1, 2}
    assert f"{directory}/ayth" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert sorted(each.name for each in directory.iterdir()) == ["config.yml", "rules.yml"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "text"),
    [
        (("htpasswd", "a:b", "--password-stdin"), "x\n", "invalid characters"),
        (("htpasswd", "alice", "--password-stdin"), "\n", "1 to 72 bytes"),
        (("htpasswd", "alice", "--password-stdin"), "x" * 73, "1 to 72 bytes"),
        (("htpasswd", "alice", "--password-stdin", "--file", "/proc/nowhere/htpasswd"), "x\n", "/proc/nowhere"),
        (("auth", "explain", "alice", "../etc", "pull"), "", "cannot be the name of a repository"),
        (("auth", "explain", "alice", "team/app", "read"), "", "'read' is not one of"),
        (("auth", "key", "create", "--user", "ci", "--expires", "soon"), "", "must be a duration"),
        (("auth", "key", "create", "--user", "ci", "--expires", "0"), "", "of at least a second"),
        (("auth", "key", "create", "--user", "ci", "--expires", "90"), "", "not '90'; a unit is missing, as in 90d"),
        (("auth", "key", "create", "--user", "ci", "--expires", "1.5"), "", "; a unit is missing, as in 1.5d"),
        (("auth", "key", "create", "--user", "c:i", "--expires", "1d"), "", "no colon"),
        (("auth", "key", "revoke", "0123"), "", "there is no key 0123"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    directory: Path, arguments: tuple[str, ...], stdin: str, text: str
) -> None:
    done = registry(directory, *arguments, stdin=stdin)
    assert done.returncode not in {0, 3}
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_names_the_rule_and_says_no_by_its_exit_status(directory: Path) -> None:
    done = registry(directory, "auth", "explain", "alice", "team/app", "push")
    assert (done.returncode, done.stdout) == (0, "alice may push team/app: rule 1 (team/**) grants it to group:dev\n")
    done = registry(directory, "auth", "explain", "anonymous", "team/app", "push")
    assert (done.returncode, done.stdout) == (
        3,
        "anonymous may not push team/app: rule 1 (team/**) does not grant it\n",
    )
    done = registry(directory, "auth", "explain", "anonymous", "team/app", "pull")
    assert done.returncode == 0


def test_explain_says_of_delete_whether_it_includes_tags(directory: Path) -> None:
    rules = RULES + '  - {repositories: "kept/**", "user:ci": [pull, push, delete], "user:bot": [delete]}\n'
    (directory / "rules.yml").write_text(rules)
    done = registry(directory, "auth", "explain", "ci", "kept/app", "delete")
    assert done.returncode == 0
    assert done.stdout.endswith(
        "but no tag, nor a manifest that has one: ci may not overwrite kept/app: rule 2 (kept/**) does not grant it\n"
    )
    assert "but" not in registry(directory, "auth", "explain", "bot", "kept/app", "delete").stdout


@pytest.mark.parametrize("auth", ["none", "{htpasswd: {realm: r, path: /p}}", "{local: {rules: [x]}}"])
def test_explain_needs_rules(directory: Path, auth: str) -> None:
    (directory / "config.yml").write_text(f"version: 0.1\nstorage: inmemory\nauth: {auth}\n")
    done = registry(directory, "auth", "explain", "alice", "team/app", "push")
    assert done.returncode == 1
    assert done.stderr.startswith("configuration error: auth")
    assert done.stderr.count("\n") == 1


def begun(directory: Path, user: str, client: str) -> str:
    """Begin a login as the server does, and return its id."""
    token = RefreshToken(user, f"{user}-{client}", 0, int(time.time()) + 1000, rotates=False)
    Logins.open(str(directory / "refresh-tokens")).begin(token, client, "192.0.2.1")
    return token.login


def test_logins_are_listed_and_revoked_one_by_one_and_by_user(directory: Path) -> None:
    assert json.loads(registry(directory, "auth", "token", "list", "--json").stdout) == []
    ids = [begun(directory, user, client) for user in ("alice", "bob") for client in ("docker", "")]
    lines = registry(directory, "auth", "token", "list").stdout.splitlines()
    assert {line.split()[0] for line in lines} == set(ids)
    line = next(line for line in lines if line.startswith("alice-docker"))
    assert re.fullmatch(r"\S+  alice  docker at 192\.0\.2\.1  since .* UTC  used .* UTC  until .* UTC", line)

    assert registry(directory, "auth", "token", "revoke", ids[0]).stdout == f"revoked {ids[0]} of alice\n"
    listed = {each["id"]: each for each in json.loads(registry(directory, "auth", "token", "list", "--json").stdout)}
    assert {login_id for login_id, each in listed.items() if each["revoked"]} == {ids[0]}
    assert listed[ids[0]].keys() == {
        *("id", "user", "client", "address", "rotates", "revoked", "created", "used", "expires")
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[ids[0]]["expires"])

    done = registry(directory, "auth", "token", "revoke", "--user", "bob")
    assert set(done.stdout.splitlines()) == {f"revoked {each} of bob" for each in ids[2:]}
    of_bob = json.loads(registry(directory, "auth", "token", "list", "--json", "--user", "bob").stdout)
    assert [each["revoked"] for each in of_bob] == [True, True]
    assert registry(directory, "auth", "token", "list").stdout.count("  revoked\n") == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("revoke", "0123"), "there is no login 0123"),
        (("revoke", "--user", "nobody"), "nobody has no login"),
        (("revoke",), "give the ID of a login, or --user"),
        (("revoke", "0123", "--user", "alice"), "give the ID of a login, or --user"),
        (("list", "--config", "/nowhere.yml"), "/nowhere.yml"),
    ],
)
def test_a_login_that_cannot_be_revoked_is_said_in_a_line(
    directory: Path, arguments: tuple[str, ...], text: str
) -> None:
    done = registry(directory, "auth", "token", *arguments)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_of_a_user_with_a_password_ends_with_it_and_another_says_that_it_does_not(directory: Path) -> None:
    registry(directory, "htpasswd", "alice", "--password-stdin", stdin="one\n")
    made = registry(directory, "auth", "key", "create", "--user", "alice", "--expires", "never")
    assert "does not end" not in made.stderr
    key_id = made.stdout.split("_")[1]
    assert json.loads((directory / "keys.json").read_text())["end_with_password"] == [key_id]
    other = registry(directory, "auth", "key", "create", "--user", "ci", "--expires", "never")
    assert "ci has no password in the configured htpasswd file: the key does not end with one" in other.stderr
    assert json.loads((directory / "keys.json").read_text())["end_with_password"] == [key_id]


def test_a_key_is_made_listed_and_revoked(directory: Path) -> None:
    made = registry(directory, "auth", "key", "create", "--user", "ci", "--expires", "90d")
    assert re.fullmatch(r"regkey_[0-9a-f]{12}_[\w-]{43}\n", made.stdout)
    key_id = made.stdout.split("_")[1]
    assert key_id in made.stderr
    lasting = registry(directory, "auth", "key", "create", "--user", "ci", "--expires", "never")
    assert "until revoked" in lasting.stderr
    listed = registry(directory, "auth", "key", "list").stdout
    assert re.search(rf"^{key_id}  ci  created .* UTC  until .* UTC$", listed, re.MULTILINE)
    assert made.stdout.strip().split("_", 2)[2] not in listed
    assert registry(directory, "auth", "key", "revoke", key_id).stdout == f"revoked {key_id}\n"
    assert key_id not in registry(directory, "auth", "key", "list").stdout


def test_keys_are_listed_as_json_without_what_proves_them(directory: Path) -> None:
    assert json.loads(registry(directory, "auth", "key", "list", "--json").stdout) == []
    for expires in ("90d", "never", "1s"):
        registry(directory, "auth", "key", "create", "--user", "ci", "--expires", expires)
    time.sleep(1.1)

    listed = json.loads(registry(directory, "auth", "key", "list", "--json").stdout)

    # Those of one second are in any order.
    assert sorted((key["expired"], key["expires"] is None) for key in listed) == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", key["created"]) for key in listed)
    members = {"id", "user", "name", "created", "expires", "expired", "used", "repositories", "actions"}
    assert {frozenset(key) for key in listed} == {frozenset(members)}


@pytest.fixture
def stored(directory: Path) -> Path:
    """Keep keys in the storage, which is a directory."""
    local = f"{{htpasswd: {directory}/htpasswd, apikeys: storage, rules: {directory}/rules.yml}}"
    storage = f"{{filesystem: {{rootdirectory: {directory}/root}}}}"
    (directory / "config.yml").write_text(f"version: 0.1\nstorage: {storage}\nauth: {{local: {local}}}\n")
    (directory / "root").mkdir()
    return directory


@pytest.mark.parametrize("place", ["directory", "stored"])
def test_a_key_may_have_a_name_and_limits(request: pytest.FixtureRequest, place: str) -> None:
    directory = request.getfixturevalue(place)
    limits = ("--name", "build server", "--repositories", "team/**, public/*", "--actions", "pull,push")
    made = registry(directory, "auth", "key", "create", "--user", "ci", "--expires", "90d", *limits, "--json")
    told = json.loads(made.stdout)
    assert told.pop("key").startswith(f"regkey_{told['id']}_")
    assert (told["name"], told["repositories"], told["actions"]) == (
        "build server",
        ["team/**", "public/*"],
        ["pull", "push"],
    )
    assert json.loads(registry(directory, "auth", "key", "list", "--json").stdout) == [told]
    (line,) = registry(directory, "auth", "key", "list").stdout.splitlines()
    assert line.endswith("  pull,push in team/**,public/*  build server")
    assert registry(directory, "auth", "key", "revoke", told["id"]).stdout == f"revoked {told['id']}\n"
    again = registry(directory, "auth", "key", "revoke", told["id"])
    assert (again.returncode, again.stderr) == (1, f"Error: there is no key {told['id']}\n")
    assert json.loads(registry(directory, "auth", "key", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (("--actions", "push"), "push is of no use without pull"),
        (("--actions", "fly"), "'fly' is not an action"),
        (("--repositories", "a b"), "'a b' is not a pattern for repositories"),
        (("--name", "x" * 101), "at most 100 characters"),
    ],
)
def test_limits_that_are_none_are_said_in_a_line(stored: Path, limit: tuple[str, str], text: str) -> None:
    done = registry(stored, "auth", "key", "create", "--user", "ci", "--expires", "90d", *limit)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_in_the_memory_of_a_server_are_out_of_reach(directory: Path) -> None:
    config = (directory / "config.yml").read_text().replace(f"{directory}/keys.json", "storage")
    (directory / "config.yml").write_text(config)
    done = registry(directory, "auth", "key", "list")
    assert done.returncode == 1
    assert "auth.local.apikeys: storage.inmemory lives in the server, where no command sees it" in done.stderr


def test_a_user_is_logged_out_of_the_pages_on_every_host(stored: Path) -> None:
    driver = FilesystemDriver.from_parameters({"rootdirectory": str(stored / "root")})
    logouts = Logouts()
    logouts.keep(StorageRecords(driver))
    begun = time.time()
    done = registry(stored, "auth", "logout", "alice")
    assert (done.returncode, done.stdout) == (0, "logged out alice: every host knows within 5 seconds\n")
    assert logouts.ended("alice", begun)
    assert not logouts.ended("alice", time.time() + 1)
    assert not logouts.ended("bob", begun)


def test_where_nobody_logs_in_to_the_pages_nobody_is_logged_out(directory: Path) -> None:
    (directory / "config.yml").write_text("version: 0.1\nstorage: inmemory\nauth: {silly: {realm: r, service: s}}\n")
    done = registry(directory, "auth", "logout", "alice")
    assert done.returncode == 1
    assert "auth: is neither htpasswd nor local: nobody logs in to the pages" in done.stderr


def test_a_decision_is_explained_as_json(directory: Path) -> None:
    done = registry(directory, "auth", "explain", "alice", "team/app", "push", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        {
            "user": "alice",
            "repository": "team/app",
            "action": "push",
            "allowed": True,
            "rule": {"number": 1, "repositories": "team/**"},
            "principals": ["group:dev"],
            "reason": "alice may push team/app: rule 1 (team/**) grants it to group:dev",
        },
    )
    done = registry(directory, "auth", "explain", "anonymous", "other", "delete", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["user"], told["allowed"], told["rule"], told["tags_too"]) == (
        3,
        "anonymous",
        False,
        None,
        False,
    )
