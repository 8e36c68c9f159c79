"""The scrub as the server does it: in a process of its own, again and again, and it repairs nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.fsck.scrubbed import Scrubbed, read_scrubbed, write_scrubbed
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import blob, image
from tests.commands.stores import configure, run
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from tests.serving import Serving

LAYER = b"a layer" * 20_000
YEAR = 366 * 24 * 3600
SOON = """
import sys
from registry import cli
from registry.fsck import jobs

jobs._SPREAD_SECONDS = 0.1
sys.argv = ["registry", *sys.argv[4:]]
cli.main()
"""
"""A server that does not wait up to a minute before its first look: SOON PYTHON -m registry serve FILE."""


def overlay(**section: object) -> dict[str, Any]:
    return {"storage": {"maintenance": {"scrub": {"enabled": True, "interval": "1s", **section}}}}


@pytest.fixture
def driver(tmp_path: Path) -> FilesystemDriver:
    """A storage with an image, whose layer is damaged."""
    driver = FilesystemDriver(str(tmp_path / "root"))
    repository = Repositories(driver).open("team/app")
    repository.tags.point(Tag("v1"), Digest.parse(image(repository, blob(repository, LAYER))["digest"]))
    driver.put(paths.blob_data(Digest.of(LAYER)), b"x" * len(LAYER))
    return driver


def told(server: Serving) -> dict[str, str]:
    found: dict[str, str] = json.loads(server.debug("/debug/health").body)
    return found


def scrubbing(server: Serving) -> set[int]:
    """Return the processes that scrub, which some process of the server has started."""
    found = set()
    for listed in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"registry.server.scrubbing" in listed.read_bytes():
                parent = int((listed.parent / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in server.workers():
                    found.add(int(listed.parent.name))
    return found


def test_damage_is_told_in_the_log_the_health_and_the_metrics_until_it_is_repaired(
    tmp_path: Path, driver: FilesystemDriver
) -> None:
    with serving(tmp_path, overlay()) as server:
        wait_until("the damage is told", lambda: "job_scrub" in told(server))

        assert told(server)["job_scrub"].startswith("the scrub has found 2 damages: registry fsck says which")
        assert server.debug("/debug/health").status == 200
        layer = Digest.of(LAYER)
        assert f"damaged: {layer}: the {len(LAYER)} bytes that are stored do not have this digest" in server.log()
        assert f"damaged: team/app@{layer}: sha256:" in server.log()
        assert driver.get(paths.blob_data(layer), limit=len(LAYER)) == b"x" * len(LAYER), "it was left as it is"
        assert "Fatal Python error" not in server.log(), "its process ends as it should"
        metrics = server.debug("/metrics").body.decode()
        assert "\nregistry_fsck_damaged 2.0\n" in metrics
        assert '\nregistry_fsck_runs_total{result="damaged"} ' in metrics
        assert "\nregistry_fsck_last_success_timestamp_seconds " in metrics

        driver.put(paths.blob_data(layer), LAYER)
        wait_until("the damage is gone", lambda: "job_scrub" not in told(server))
        assert "\nregistry_fsck_damaged 0.0\n" in server.debug("/metrics").body.decode()


def test_a_scrub_that_is_cut_short_is_gone_on_with_where_it_was(tmp_path: Path, driver: FilesystemDriver) -> None:
    last = f"sha256:{Digest.of(LAYER).hex[:2]}"
    write_scrubbed(driver, Scrubbed(at="sha256:ff", damaged=5))
    assert last < "sha256:ff"

    with serving(tmp_path, overlay(interval="1h"), before=(sys.executable, "-c", SOON)) as server:
        wait_until("it has ended", lambda: read_scrubbed(driver).ended)

        assert read_scrubbed(driver).damaged == 5
        assert "do not have this digest" not in server.log()


def test_it_ends_with_the_server_and_begins_again_with_it(tmp_path: Path, driver: FilesystemDriver) -> None:
    with serving(tmp_path, overlay(rate="1KiB")) as server:
        wait_until("it reads", lambda: scrubbing(server) and read_scrubbed(driver).noted)
        (child,) = scrubbing(server)
    wait_until("it has ended", lambda: not Path(f"/proc/{child}").exists())

    assert not read_scrubbed(driver).ended


def test_one_that_is_killed_is_a_failure_that_is_told(tmp_path: Path, driver: FilesystemDriver) -> None:
    with serving(tmp_path, overlay(rate="1KiB")) as server:
        wait_until("it reads", lambda: scrubbing(server) and read_scrubbed(driver).noted)
        (child,) = scrubbing(server)
        os.kill(child, signal.SIGKILL)
        wait_until("it is told", lambda: "job_scrub" in told(server))

        assert "signal 9" in told(server)["job_scrub"]


def test_a_scrub_that_ended_in_the_future_holds_nothing_up(tmp_path: Path, driver: FilesystemDriver) -> None:
    write_scrubbed(driver, Scrubbed(ended=time.time() + YEAR))

    with serving(tmp_path, overlay()) as server:
        wait_until("the damage is told", lambda: "job_scrub" in told(server))

        assert read_scrubbed(driver).ended < time.time()


def test_a_storage_without_its_repositories_is_not_told_to_be_clean(tmp_path: Path, driver: FilesystemDriver) -> None:
    driver.delete(paths.REPOSITORIES)

    with serving(tmp_path, overlay()) as server:
        wait_until("it is told", lambda: "job_scrub" in told(server))

        assert "not a single repository" in told(server)["job_scrub"]
        assert read_scrubbed(driver).ended == 0


def test_what_another_host_has_begun_in_the_future_is_abandoned(tmp_path: Path, driver: FilesystemDriver) -> None:
    begun = {"host": "another", "at": "", "noted": time.time() + YEAR, "ended": 0.0, "damaged": 0}
    driver.put(paths.SCRUB, json.dumps(begun).encode())

    with serving(tmp_path, overlay()) as server:
        wait_until("the damage is told", lambda: "job_scrub" in told(server))


def test_what_another_host_scrubs_is_left_to_it(tmp_path: Path, driver: FilesystemDriver) -> None:
    write_scrubbed(driver, Scrubbed(host="another", at="sha256:00"))

    with serving(tmp_path, overlay()) as server:
        wait_until("it was looked at", lambda: json.loads(server.debug("/debug/jobs").body)["scrub"]["last_run"])

        assert read_scrubbed(driver).host == "another"
        assert not read_scrubbed(driver).ended


def test_after_a_repair_of_everything_nothing_is_told_any_more(driver: FilesystemDriver, tmp_path: Path) -> None:
    driver.put(paths.blob_data(Digest.of(LAYER)), LAYER)
    driver.put(paths.tag_link("team/app", "v1"), b"")
    write_scrubbed(driver, Scrubbed(ended=1.0, damaged=1))
    config = configure(tmp_path)

    assert run("fsck", "--deep", config).returncode == 3
    assert read_scrubbed(driver).damaged == 1
    assert run("fsck", "--repair", config).returncode == 0
    assert read_scrubbed(driver).damaged == 1, "not all bytes were read, and it may be those"
    assert run("fsck", "--deep", "--repair", config).returncode == 0
    assert read_scrubbed(driver).damaged == 0
