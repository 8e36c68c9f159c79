from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.commands.deliveries import examine_deliveries
from registry.config.loading import load
from registry.doctor.findings import Status
from registry.journal.cursors import Cursor
from registry.notifications.dead import DeadLetter
from registry.notifications.events import events_of
from tests.commands.stores import run
from tests.notifications.journals import Journal, push
from tests.notifications.receiver import Answering, Received, Receiver, receiving
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.doctor.findings import Finding

HOUR_NS = 3600 * 10**9


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / "root").mkdir()
    return Journal(FilesystemDriver(str(tmp_path / "root")))


def configure(tmp_path: Path, *endpoints: dict[str, object]) -> str:
    path = tmp_path / "notifications.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "root")}}
    section = {"endpoints": [{"name": "ci", "timeout": "5s", **each} for each in endpoints]}
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": storage, "notifications": section}))
    return str(path)


def found(tmp_path: Path, *endpoints: dict[str, object]) -> list[Finding]:
    return list(examine_deliveries(load(configure(tmp_path, *endpoints), {}), lambda _: None))


def test_endpoint_for_which_nothing_waits_and_that_answers_anything_is_in_order(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    assert journal
    receiver.answer = lambda _: Answering(405)
    (finding,) = found(tmp_path, {"url": receiver.url(), "headers": {"Authorization": ["Bearer hunter2"]}})
    assert (finding.check, finding.status, finding.found) == ("endpoint ci", Status.OK, "nothing waits")


def test_endpoint_that_cannot_be_reached_is_wrong(tmp_path: Path, journal: Journal) -> None:
    assert journal
    with receiving() as gone:
        url = gone.url()
    (finding,) = found(tmp_path, {"url": f"{url}?key=hunter2"})
    assert finding.status is Status.FAILURE
    assert "refused" in finding.found
    assert "hunter2" not in finding.found
    assert finding.advice == "look at its url, timeout and cafile; this machine has to reach it"


def test_endpoint_that_fails_is_wrong_with_its_error_and_what_waits(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    journal.add(push("v1"), push("v2"))
    journal.cursors.put("ci", Cursor(state={"last_error": "it answers 500", "failing_since": 1773064800.0}))
    (finding,) = found(tmp_path, {"url": receiver.url()})
    assert finding.status is Status.FAILURE
    assert finding.found.startswith(
        "takes nothing since 2026-03-09T14:00:00.000000Z: it answers 500; 2 events wait, the first for "
    )
    assert finding.advice == "registry notifications test ci tries it now"


def test_what_waits_for_more_than_an_hour_is_wrong(
    tmp_path: Path, journal: Journal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.add(push("v1"))
    (finding,) = found(tmp_path, {"url": receiver.url()})
    assert finding.status is Status.OK
    now = time.time_ns()
    # The clock is what differs: an entry of another time can only be written at that time.
    monkeypatch.setattr("registry.commands.deliveries.time.time_ns", lambda: now + 2 * HOUR_NS)
    (finding,) = found(tmp_path, {"url": receiver.url()})
    assert finding.status is Status.FAILURE
    assert finding.found.startswith("1 event waits, for 2h")
    assert finding.advice == "does a registry run with this configuration, and is not read-only?"


def test_dead_letters_are_a_warning_and_what_is_disabled_is_skipped(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    (event,) = events_of(push("v1"), time.time_ns())
    journal.letters.add(DeadLetter("off", event, "it answers 410 Gone", "410 Gone", 3, time.time_ns()))
    findings = found(tmp_path, {"url": receiver.url()}, {"name": "off", "url": receiver.url(), "disabled": True})
    assert [(each.check, each.status) for each in findings] == [
        ("endpoint ci", Status.OK),
        ("endpoint off", Status.SKIPPED),
        ("endpoint off", Status.WARNING),
    ]
    assert findings[2].found == "1 dead letter"


def test_what_the_doctor_pushes_does_not_count_as_waiting(tmp_path: Path, receiver: Receiver) -> None:
    sent = []

    def refuse(request: Received) -> Answering:
        sent.append(request.body)
        return Answering(500)

    receiver.answer = refuse
    overlay = {
        "notifications": {"endpoints": [{"name": "ci", "url": receiver.url()}]},
        "audit": {"enabled": True},
    }
    with serving(tmp_path, overlay) as server:
        config = str(tmp_path / "config.yml")
        arguments = ("--size", "1", "--pause", "0.1", "--config", config, "--json")
        report = json.loads(run("doctor", server.url, *arguments).stdout)
        wait_until("the probe is sent", lambda: any(sent))
    assert [(each["check"], each["status"], each["found"]) for each in report["findings"][-2:]] == [
        ("endpoint ci", "ok", "nothing waits"),
        ("audit log", "ok", "is up to date"),
    ]


def test_a_storage_that_is_not_there_is_a_finding(tmp_path: Path, receiver: Receiver) -> None:
    (finding,) = found(tmp_path, {"url": receiver.url()})
    assert (finding.check, finding.status) == ("storage", Status.FAILURE)
    assert f"{tmp_path}/root" in finding.found


def test_doctor_that_is_given_a_configuration_looks_at_its_endpoints(
    tmp_path: Path, journal: Journal, receiver: Receiver
) -> None:
    assert journal
    config = configure(tmp_path, {"url": receiver.url()})
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        done = run("doctor", server.url, "--size", "1", "--pause", "0.1", "--config", config, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["healthy"]) == (0, True)
    assert report["findings"][-1]["check"] == "endpoint ci"
