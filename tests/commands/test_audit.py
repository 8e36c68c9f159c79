"""What ``registry audit`` prints, and what other commands leave in the audit log."""

from __future__ import annotations

import json
import os
import pwd
import time
from typing import TYPE_CHECKING, Any

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.audit.consumer import NAME
from registry.audit.reading import Wanted
from registry.audit.segments import Segment
from registry.audit.writer import Writer
from registry.journal.entry import DELETE, MANIFEST, PUSH, Entry, Origin
from registry.journal.reader import Delivered
from registry.storage import paths
from tests.commands.stores import fill, run

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 1_000_000_000
DIGEST = "sha256:" + "1234567890abcdef" * 4
BEFORE = "sha256:" + "fedcba0987654321" * 4


def origin(actor: str, claimed: str = "") -> Origin:
    return Origin(actor=actor, claimed_user=claimed, client="192.0.2.1", user_agent="\x1b[31mcurl")


ENTRIES = [
    Entry("1", PUSH, MANIFEST, [NAME], "team/app", DIGEST, ["v1"], previous={"v1": BEFORE}, origin=origin("alice")),
    Entry("2", DELETE, "tag", [NAME], "team/web", tags=["v1"], previous={"v1": DIGEST}, origin=origin("bob")),
    Entry(
        "3",
        "login",
        "registry",
        [NAME],
        details={"outcome": "failed", "code": "UNAUTHORIZED", "status": "401", "count": "7"},
        origin=origin("", "alice\x1b[31m"),
    ),
    Entry(
        "4",
        "pull",
        MANIFEST,
        [NAME],
        "secret/app",
        details={"outcome": "denied", "rule": "no rule lets bob pull", "code": "DENIED", "status": "403", "count": "1"},
        origin=origin("bob"),
    ),
]


@pytest.fixture
def storage(tmp_path: Path) -> FilesystemDriver:
    """A storage whose audit log has four lines, an hour old, and whose journal has one that is new."""
    fill(tmp_path)
    text = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/root}}}}\naudit: {{enabled: true}}\n"
    (tmp_path / "config.yml").write_text(text)
    driver = FilesystemDriver(str(tmp_path / "root"))
    writer, hour_ago_ns = Writer(driver), time.time_ns() - 3600 * SECOND_NS
    writer.add([Delivered(hour_ago_ns + number, entry) for number, entry in enumerate(ENTRIES)], "")
    writer.store_head()
    entry = Entry("5", PUSH, MANIFEST, [NAME], "team/app", DIGEST, ["v2"], previous={"v2": ""}, origin=origin("ci"))
    driver.log(paths.JOURNAL).append(entry.encode())
    return driver


@pytest.fixture
def config(storage: FilesystemDriver, tmp_path: Path) -> str:
    del storage
    return str(tmp_path / "config.yml")


def listed(config: str, *options: str) -> list[dict[str, Any]]:
    done = run("audit", "list", "--json", "--config", config, *options)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_list_prints_a_line_each_with_what_is_in_the_journal_still(config: str) -> None:
    done = run("audit", "list", "--config", config)
    assert [line.partition("  ")[2] for line in done.stdout.splitlines()] == [
        "alice at 192.0.2.1  push manifest  team/app:v1 (was sha256:fedcba098765) sha256:1234567890ab",
        "bob at 192.0.2.1  delete tag  team/web:v1 (was sha256:1234567890ab)",
        r"somebody as alice\x1b[31m at 192.0.2.1  login registry  failed: UNAUTHORIZED, 401  7 times",
        "bob at 192.0.2.1  pull manifest  secret/app  denied: no rule lets bob pull, DENIED, 403",
        "ci at 192.0.2.1  push manifest  team/app:v2 sha256:1234567890ab",
    ]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--user", "alice"), "1"),
        (("--user", "bob"), "24"),
        (("--repository", "team/**"), "125"),
        (("--repository", "*/app"), "145"),
        (("--action", "push"), "15"),
        (("--outcome", "denied"), "4"),
        (("--outcome", "failed"), "3"),
        (("--since", "10m"), "5"),
        (("--until", "10m"), "1234"),
        (("--since", "2h", "--until", "10m", "--user", "bob", "--action", "delete"), "2"),
        (("--since", "2020-01-01"), "12345"),
        (("--user", "nobody"), ""),
    ],
)
def test_list_is_narrowed_down(config: str, options: tuple[str, ...], ids: str) -> None:
    assert [record["id"] for record in listed(config, *options)] == [*ids]


def test_what_is_counted_is_listed_for_any_time_in_which_it_may_have_happened() -> None:
    record = {"time": "2026-11-27T12:01:00.000000Z", "since": "2026-11-27T12:00:05.000000Z"}
    noon_ns = 1_795_780_800 * SECOND_NS  # 2026-11-27 12:00 UTC
    assert Wanted(since_ns=noon_ns, until_ns=noon_ns + 10 * SECOND_NS).takes(record)
    assert Wanted(since_ns=noon_ns + 30 * SECOND_NS).takes(record)
    assert not Wanted(until_ns=noon_ns + 5 * SECOND_NS).takes(record)
    assert not Wanted(since_ns=noon_ns + 61 * SECOND_NS).takes(record)


def test_json_has_all_of_a_line(config: str) -> None:
    first, *_, last = listed(config)
    assert (first["seq"], first["previous"], len(first["hash"])) == (1, {"v1": BEFORE}, 64)
    assert ("seq" in last, "hash" in last) == (False, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("list", "--repository", "a//b"), "not a pattern for repositories"),
        (("list", "--since", "yesterday"), "neither a duration such as 2h nor a time"),
        (("list", "--outcome", "good"), "'good' is not one of"),
        (("list", "--since", "1h", "--until", "2h"), "--since is not before --until"),
        (("verify", "--head", "12"), "is not a hash of 64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_understood_is_one_line(config: str, options: tuple[str, ...], said: str) -> None:
    done = run("audit", *options, "--config", config)
    assert done.returncode == 2
    assert said in done.stderr


def test_verify_says_that_all_is_well_and_gives_the_hash_to_note(config: str) -> None:
    done = run("audit", "verify", "--config", config)
    assert done.returncode == 0
    said, _, digest = done.stdout.strip().rpartition(" ")
    assert said == "4 lines in 1 segments are intact; the hash of the last line is"
    assert run("audit", "verify", "--head", digest.upper(), "--config", config).returncode == 0
    done = run("audit", "verify", "--head", "0" * 64, "--config", config)
    assert done.returncode == 1
    assert f"no line has the hash {'0' * 64}" in done.stdout


def test_verify_names_segment_and_line_of_what_was_changed(config: str, storage: FilesystemDriver) -> None:
    (day,) = [name for name in storage.list(paths.AUDIT, limit=9) if name.isdigit()]
    path = Segment(day, 1).path
    storage.put(path, storage.get(path, limit=100_000).replace(b'"bob"', b'"eve"', 1))
    done = run("audit", "verify", "--config", config)
    assert done.returncode == 1
    wanted = f"{day}/000001.jsonl:2: line 2 or the one before it was changed: the hash is not theirs"
    assert done.stdout.splitlines() == [wanted]
    told = json.loads(run("audit", "verify", "--json", "--config", config).stdout)
    assert (told["intact"], told["findings"][0]["line"]) == (False, 2)


def test_a_storage_without_an_audit_log_is_said_to_have_none(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/root}}}}\n")
    assert run("audit", "list", "--config", str(path)).stdout == ""
    assert run("audit", "verify", "--config", str(path)).stdout == "there is no audit log\n"


def test_what_rm_and_garbage_collect_delete_is_recorded(config: str) -> None:
    assert run("rm", "team/app:v1", "--yes", "--config", config).returncode == 0
    assert run("garbage-collect", "--delete-untagged", "--grace", "0s", config).returncode == 0
    found = [record for record in listed(config, "--since", "10m") if record["id"] != "5"]
    assert found[0]["action"] == "delete"
    assert found[0]["tags"] == ["v1"]
    assert found[0]["previous"]["v1"].startswith("sha256:")


def test_users_keys_and_logins_that_commands_change_are_recorded_with_who_did_it(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    local = f"{{htpasswd: {tmp_path}/htpasswd, apikeys: {tmp_path}/keys.json, rules: []}}"
    path = tmp_path / "config.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path}/root}}}}"
    path.write_text(f"version: 0.1\n{storage}\naudit: {{enabled: true}}\nauth: {{local: {local}}}\n")
    config = str(path)
    for _ in range(2):
        run("htpasswd", "alice", "--password-stdin", "--config", config, stdin="wonderland\n")
    made = run("auth", "key", "create", "--user", "alice", "--expires", "1h", "--config", config)
    (key,) = json.loads(run("auth", "key", "list", "--json", "--config", config).stdout)
    run("auth", "key", "revoke", key["id"], "--config", config)
    run("auth", "logout", "alice", "--config", config)
    run("htpasswd", "--delete", "alice", "--config", config)
    found = [(each["action"], each["kind"], each["details"]) for each in listed(config)]
    assert found == [
        ("create", "user", {"user": "alice"}),
        ("change", "user", {"user": "alice"}),
        ("create", "key", {"key": key["id"], "user": "alice"}),
        ("revoke", "key", {"key": key["id"]}),
        ("revoke", "login", {"user": "alice"}),
        ("delete", "user", {"user": "alice"}),
    ]
    assert {each["actor"] for each in listed(config)} == {pwd.getpwuid(os.getuid()).pw_name}
    text = run("audit", "list", "--json", "--config", config).stdout
    assert made.stdout.strip() not in text
    assert "wonderland" not in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write what others cannot use")
def test_what_root_records_belongs_to_the_owner_of_the_storage(open_directory: Path) -> None:
    root, path = open_directory / "root", open_directory / "config.yml"
    root.mkdir()
    os.chown(root, 12345, 12346)
    path.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\naudit: {{enabled: true}}\n"
        f"auth: {{local: {{htpasswd: {open_directory}/htpasswd, apikeys: storage, rules: []}}}}\n"
    )
    done = run("htpasswd", "alice", "--password-stdin", "--config", str(path), stdin="wonderland\n")
    assert (done.returncode, done.stderr) == (0, "")
    made = run("auth", "key", "create", "--user", "alice", "--expires", "1h", "--config", str(path))
    assert (made.returncode, "the key does not end with one" in made.stderr) == (0, False)
    assert run("auth", "logout", "alice", "--config", str(path)).returncode == 0
    assert len(listed(str(path))) == 3
    written = list(root.rglob("*"))
    assert {"auth", "journal"} <= {each.name for each in written}
    assert {(each.stat().st_uid, each.stat().st_gid) for each in written} == {(12345, 12346)}


def test_a_configuration_that_cannot_be_used_ends_a_command_before_anything_is_changed(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("version: 0.1\nstorage: {inmemory: {}}\naudit: {keep: 400}\n")
    htpasswd = ("htpasswd", "alice", "--password-stdin", "--file", f"{tmp_path}/htpasswd")
    key = ("auth", "key", "create", "--user", "alice", "--expires", "1h", "--file", f"{tmp_path}/keys.json")
    for command in (htpasswd, key):
        done = run(*command, "--config", f"{tmp_path}/bad.yml", stdin="wonderland\n")
        assert done.returncode == 1
        assert "audit.keep" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yml"]


def test_a_default_configuration_that_cannot_be_used_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("version: 0.1\nstorage: {inmemory: {}}\naudit: {keep: 400}\n")
    environ = {"REGISTRY_CONFIGURATION_PATH": f"{tmp_path}/bad.yml"}
    command = ("htpasswd", "alice", "--password-stdin", "--file", f"{tmp_path}/htpasswd")
    done = run(*command, stdin="wonderland\n", environ=environ)
    assert (done.returncode, (tmp_path / "htpasswd").exists()) == (0, True)
    assert done.stderr.startswith("done, but not recorded in the audit log: ")
    assert "audit.keep: must be a duration" in done.stderr


def test_a_command_does_its_work_where_the_audit_log_cannot_be_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/missing}}}}\naudit: {{enabled: true}}\n"
        f"auth: {{htpasswd: {{realm: r, path: {tmp_path}/htpasswd}}}}\n"
    )
    done = run("htpasswd", "alice", "--password-stdin", "--config", str(path), stdin="wonderland\n")
    assert (done.returncode, done.stdout) == (0, f"added alice in {tmp_path}/htpasswd\n")
    assert done.stderr.startswith("done, but not recorded in the audit log: ")
