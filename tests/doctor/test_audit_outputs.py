from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.audit.consumer import NAME
from registry.audit.told import Told
from registry.audit.writer import Writer
from registry.commands.deliveries import examine_deliveries
from registry.config.loading import load
from registry.journal.entry import PUSH, Entry
from registry.storage import paths
from tests.audit.logs import delivered

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

SECOND_NS = 10**9
RUNNING = "does a registry run with this configuration, and is not read-only?"
TOLD = "does a registry run with this configuration, and does its log say why?"


@pytest.fixture
def driver(tmp_path: Path) -> StorageDriver:
    (tmp_path / "root").mkdir()
    return FilesystemDriver(str(tmp_path / "root"))


def found(tmp_path: Path, **section: object) -> list[tuple[str, str, str, str]]:
    path = tmp_path / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "root")}}
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": storage, "audit": {"enabled": True, **section}}))
    findings = examine_deliveries(load(str(path), {}), lambda _: None)
    return [(each.check, str(each.status), each.found, each.advice) for each in findings]


def record(driver: StorageDriver, *numbers: int, age_seconds: int = 5) -> None:
    """Add lines to the log that were recorded so long ago."""
    writer = Writer(driver)
    writer.add([delivered(each, at_ns=time.time_ns() - age_seconds * SECOND_NS) for each in numbers], "")
    writer.store_head()


def test_an_audit_log_of_which_nothing_waits_is_in_order(tmp_path: Path, driver: StorageDriver) -> None:
    record(driver, 1, 2)
    Told(2, "").store(driver, "stdout")
    assert found(tmp_path, stdout=True) == [
        ("audit log", "ok", "is up to date", ""),
        ("audit stdout", "ok", "nothing waits", ""),
    ]


def test_lines_that_an_output_was_not_told_wait(tmp_path: Path, driver: StorageDriver) -> None:
    record(driver, 1, 2, 3)
    Told(1, "").store(driver, "stdout")
    (_, (check, status, what, _)) = found(tmp_path, stdout=True)
    assert (check, status) == ("audit stdout", "ok")
    assert what.startswith("2 lines wait, the first for ")


def test_a_line_that_waits_for_more_than_an_hour_is_wrong(tmp_path: Path, driver: StorageDriver) -> None:
    record(driver, 1, age_seconds=2 * 3600)
    record(driver, 2)
    Told(0, "").store(driver, "stdout")
    (_, (_, status, what, advice)) = found(tmp_path, stdout=True)
    assert (status, advice) == ("failure", TOLD)
    assert what.startswith("2 lines wait, the first for 2h")


def test_changes_that_are_not_in_the_log_for_an_hour_are_wrong(
    tmp_path: Path, driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(driver, 1)
    for consumer in ("another", NAME):
        driver.log(paths.JOURNAL).append(Entry("id", PUSH, "blob", consumers=[consumer]).encode())
    assert found(tmp_path) == [("audit log", "ok", "is being written", "")]
    now = time.time_ns()
    # The clock is what differs: an entry of another time can only be written at that time.
    monkeypatch.setattr("registry.commands.deliveries.time.time_ns", lambda: now + 2 * 3600 * SECOND_NS)
    ((check, status, what, advice),) = found(tmp_path)
    assert (check, status, advice) == ("audit log", "failure", RUNNING)
    assert what.startswith("has nothing of changes since ")


def test_an_output_that_no_registry_has_told_anything_is_a_warning(tmp_path: Path, driver: StorageDriver) -> None:
    record(driver, 1)
    assert found(tmp_path, stdout=True)[-1] == (
        "audit stdout",
        "warning",
        "no registry has told it anything yet",
        RUNNING,
    )


@pytest.mark.parametrize(
    ("syslog", "said"),
    [
        ("udp://nowhere.invalid", "udp://nowhere.invalid:514 cannot be reached: "),
        ("tcp://127.0.0.1:{port}", "tcp://127.0.0.1:{port} cannot be reached: Connection refused; 1 line waits, for "),
        ("unix://{there}/log", "unix://{there}/log cannot be reached: No such file or directory; 1 line waits, for "),
        ("unix://{there}/config.yml", "unix://{there}/config.yml cannot be reached: Connection refused; 1 line waits"),
    ],
)
def test_a_syslog_that_cannot_be_reached_is_wrong(
    tmp_path: Path, driver: StorageDriver, syslog: str, said: str
) -> None:
    record(driver, 1)
    Told(0, "").store(driver, "syslog")
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        names = {"port": gone.getsockname()[1], "there": str(tmp_path)}
    (_, (check, status, what, advice)) = found(tmp_path, syslog=syslog.format(**names))
    assert (check, status) == ("audit syslog", "failure")
    assert what.startswith(said.format(**names))
    assert advice == "look at audit.syslog; this machine has to reach it"


def test_a_syslog_that_can_be_reached_is_in_order_and_told_nothing(tmp_path: Path, driver: StorageDriver) -> None:
    record(driver, 1)
    Told(1, "").store(driver, "syslog")
    before = sorted(os.walk(tmp_path / "root"))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(10)
        syslog = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        assert found(tmp_path, syslog=syslog)[-1] == ("audit syslog", "ok", "nothing waits", "")
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(1) == b""
    assert sorted(os.walk(tmp_path / "root")) == before


def test_an_audit_log_that_is_off_is_not_looked_at(tmp_path: Path, driver: StorageDriver) -> None:
    record(driver, 1, age_seconds=2 * 3600)
    assert found(tmp_path, enabled=False, stdout=True, syslog="udp://nowhere.invalid") == []
