"""``registry garbage-collect`` beside servers, and ``registry gc status``."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.config.loading import parse
from registry.jobs.cluster import Cluster, Member
from registry.lifecycle.own_run import begin
from registry.lifecycle.reports import Result, latest_reports
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths, runs
from registry.storage.repository import Repositories
from registry.storage.runs import Phase, Run, Runs
from tests.archive.images import blob, image
from tests.faults import Faults
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def driver(root: Path) -> FilesystemDriver:
    """A storage with a tagged image, and a blob of 5 bytes that is nobody's."""
    driver = FilesystemDriver(str(root))
    repository = Repositories(driver).open("team/app")
    kept = image(repository, blob(repository, b"x" * 1000))
    repository.tags.point(Tag("v1"), Digest.parse(str(kept["digest"])))
    blob(repository, b"loose")
    return driver


@pytest.fixture
def config(tmp_path: Path, root: Path) -> str:
    path = tmp_path / "config.yml"
    section = "maintenance: {garbagecollection: {grace: 0s}}"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}, {section}}}\n")
    return str(path)


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run of this process show that it lives as often as those of the commands look for that."""
    monkeypatch.setattr(runs, "PACE", replace(runs.PACE, beat=0.05))


def registry(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command where a run takes a second."""
    environ = {"PYTHONPATH": str(ROOT), **(environ or {})}
    command = [sys.executable, str(ROOT / "tests" / "lifecycle" / "pace.py"), "python", "-m", "registry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environ)


def announce(driver: FilesystemDriver, config: str) -> None:
    """Let a server have said that it serves the storage."""
    Cluster(driver).announce(Member.of(parse(Path(config).read_text(), config, {})))


def is_stored(driver: FilesystemDriver, content: bytes) -> bool:
    return any(found.path == paths.blob_data(Digest.of(content)) for found in driver.walk(paths.BLOBS))


def test_one_run_condemns_and_says_when_the_space_is_freed_and_the_next_one_frees_it(
    driver: FilesystemDriver, config: str
) -> None:
    first = registry("garbage-collect", "--online", config)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("condemned: 0 manifests, 1 links to blobs\ndeleted: 0 blobs, 0 B\n")
    assert "condemned and not deleted yet: 1 blobs, 5 B; the first run after 20" in first.stdout
    assert is_stored(driver, b"loose")

    second = registry("garbage-collect", "--online", "--quiet", config)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert not is_stored(driver, b"loose")


def test_json_is_the_report_that_status_shows_too(driver: FilesystemDriver, config: str) -> None:
    told = json.loads(registry("garbage-collect", "--online", "--json", config).stdout)
    assert (told["result"], told["condemned_blobs"], told["waiting_bytes"]) == ("done", 1, 5)
    assert told["ended"].endswith("Z")

    status = json.loads(registry("gc", "status", "--json", config).stdout)
    assert status == {"run": None, "reports": [told]}
    assert Runs(driver).read().number == 2


def test_status_says_what_is_on_and_what_was_done(driver: FilesystemDriver, config: str) -> None:
    assert registry("gc", "status", config).stdout == "no run is on\nnone has ended yet\n"
    registry("garbage-collect", "--online", config)
    with begin(driver, "host-a"):
        lines = registry("gc", "status", config).stdout.splitlines()
    assert lines[0].startswith("run 3 is on, marking, on host-a-")
    assert lines[1].endswith("run 1  done: condemned 0 manifests and 1 links to blobs, deleted 0 blobs, 0 B")
    assert lines[2].startswith("condemned and not deleted yet: 1 blobs, 5 B; the first run after ")


@pytest.mark.parametrize("mode", ["--online", "--offline"])
def test_while_another_run_is_on_it_says_so_in_one_line_and_ends_with_4(
    driver: FilesystemDriver, config: str, mode: str
) -> None:
    with begin(driver, "host-a"):
        done = registry("garbage-collect", mode, config)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Error: a garbage collection is on (host-a-")
    assert done.stderr.count("\n") == 1


def test_beside_a_server_that_lives_it_is_online_and_otherwise_offline(driver: FilesystemDriver, config: str) -> None:
    announce(driver, config)
    beside = registry("garbage-collect", "--grace=0s", config)
    assert beside.stderr == "a server uses this storage: collecting beside it (--offline where none takes pushes)\n"
    assert is_stored(driver, b"loose")

    alone = registry("garbage-collect", "--offline", "--grace=0s", config)
    assert alone.stderr == "5 B are freed\n"
    assert not is_stored(driver, b"loose")


@pytest.mark.parametrize("content", [None, b"of a later version"], ids=["silent", "silent and not to be read"])
def test_a_server_that_has_been_silent_for_hours_may_come_back_and_one_that_was_for_a_day_does_not(
    driver: FilesystemDriver, config: str, root: Path, content: bytes | None
) -> None:
    announce(driver, config)
    (member,) = (root / "registry" / "cluster").iterdir()
    if content:
        member.write_bytes(content)
    os.utime(member, (time.time() - 20 * 3600,) * 2)
    assert "collecting beside it" in registry("garbage-collect", "--grace=0s", config).stderr
    assert is_stored(driver, b"loose")

    os.utime(member, (time.time() - 25 * 3600,) * 2)
    assert registry("garbage-collect", "--grace=0s", config).stderr == "5 B are freed\n"


@pytest.mark.parametrize("was_cut_short", [False, True])
def test_offline_frees_space_on_a_disk_that_is_full(
    driver: FilesystemDriver, config: str, tmp_path: Path, *, was_cut_short: bool
) -> None:
    if was_cut_short:
        Runs(driver).write(Run(5, Phase.MARKING, host="dead"))
    faults = Faults.build(tmp_path)
    with faults.raising("write", errno.ENOSPC, "/root/"):
        online = registry("garbage-collect", "--online", config, environ=faults.environ)
        done = registry("garbage-collect", "--offline", "--grace=0s", config, environ=faults.environ)

    assert "No space left on device" in online.stderr
    assert done.returncode == 0, done.stderr
    assert "5 B are freed" in done.stderr
    assert not is_stored(driver, b"loose")


@pytest.mark.parametrize("order", [("--online", "--offline"), ("--offline", "--online")])
def test_online_and_offline_at_once_are_refused(driver: FilesystemDriver, config: str, order: tuple[str, str]) -> None:
    done = registry("garbage-collect", *order, "--grace=0s", config)
    assert done.returncode == 2
    assert "--online and --offline exclude each other: say one of them" in done.stderr
    assert is_stored(driver, b"loose")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_stopped_leaves_no_run_on_and_says_that_it_was(
    driver: FilesystemDriver, config: str, number: signal.Signals
) -> None:
    command = [sys.executable, str(ROOT / "tests" / "lifecycle" / "pace.py"), "python", "-m", "registry"]
    environ = {"PYTHONPATH": str(ROOT), "PACE": '{"announced": 600}'}
    with subprocess.Popen(
        [*command, "garbage-collect", "--online", config], stderr=subprocess.PIPE, cwd=ROOT, env=environ
    ) as running:
        wait_until("a run is on and lives", lambda: Runs(driver).read().beat > 1)
        running.send_signal(number)
        assert running.wait(60) == 130

    assert not Runs(driver).read().is_on
    (report,) = latest_reports(driver, 1)
    assert (report.result, report.reason) == (Result.FAILED, "interrupted")


def test_without_a_server_it_is_offline(driver: FilesystemDriver, config: str) -> None:
    assert registry("garbage-collect", "--grace=0s", config).stderr == "5 B are freed\n"
    assert not is_stored(driver, b"loose")
    assert not driver.list("/registry", limit=10)


def test_a_registry_that_is_read_only_is_offline_also_if_a_server_lives(
    driver: FilesystemDriver, config: str, root: Path
) -> None:
    announce(driver, config)
    section = "maintenance: {readonly: {enabled: true}}"
    Path(config).write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}, {section}}}\n")
    assert registry("garbage-collect", "--grace=0s", config).stderr == "5 B are freed\n"


def test_a_refusal_is_one_line_and_force_does_it(driver: FilesystemDriver, config: str) -> None:
    repository = Repositories(driver).open("team/app")
    blob(repository, b"y" * 5000)

    refused = registry("garbage-collect", "--online", config)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: nothing was collected: 4.9 KiB of ")
    assert refused.stderr.endswith("more than maxshare (50 %): use --force if that is right\n")

    assert registry("garbage-collect", "--online", "--force", config).returncode == 0
    assert not repository.blobs.has(Digest.of(b"y" * 5000))


def test_a_dry_run_says_what_would_go_and_changes_nothing(driver: FilesystemDriver, config: str) -> None:
    done = registry("garbage-collect", "--online", "--dry-run", config)
    assert done.stdout == ("would be condemned: 0 manifests, 1 links to blobs\nwould be deleted: 0 blobs, 0 B\n")
    assert Repositories(driver).open("team/app").blobs.has(Digest.of(b"loose"))


def test_a_grace_that_is_too_short_beside_servers_is_refused_with_what_to_do(
    driver: FilesystemDriver, config: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "registry", "garbage-collect", "--online", "--grace", "10m", config],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "10m is less than 1h, the least while others may push; --offline takes it" in done.stderr
    assert is_stored(driver, b"loose")


def test_explain_beside_servers_counts_the_grace_twice(driver: FilesystemDriver, config: str) -> None:
    registry("garbage-collect", "--online", config)
    told = registry("garbage-collect", "--online", "--explain", str(Digest.of(b"loose")), config)
    assert "condemned" in told.stdout
    assert is_stored(driver, b"loose")
