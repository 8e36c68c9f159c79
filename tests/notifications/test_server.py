"""What a server tells its endpoints of what is asked of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api import Api, digest_of
from tests.notifications.receiver import Answering, Received, Receiver, receiving
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def overlay(*receivers: Receiver, **keys: Any) -> dict[str, Any]:
    quick = {"backoff": "50ms", "maxbackoff": "100ms", "threshold": 1, **keys}
    return {
        "notifications": {
            "endpoints": [{"name": f"e{n}", "url": each.url(), **quick} for n, each in enumerate(receivers)]
        }
    }


def push(server: Serving, tag: str, repository: str = "team/app") -> None:
    assert Api("127.0.0.1", server.port).put_manifest(repository, tag, MANIFEST, INDEX_TYPE).status == 201


def test_a_push_and_a_deletion_are_told_of(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, overlay(receiver)) as server:
        api = Api("127.0.0.1", server.port)
        api.push_blob("team/app", b"x" * 100)
        push(server, "v1")
        api.request("DELETE", f"/v2/team/app/manifests/{digest_of(MANIFEST)}")
        wait_until("all are told", lambda: len(receiver.taken) == 4)

    blob, manifest, deleted, untagged = receiver.taken
    assert (blob["action"], blob["target"]["size"]) == ("push", 100)
    assert (manifest["action"], manifest["target"]["tag"], manifest["target"]["mediaType"]) == (
        "push",
        "v1",
        INDEX_TYPE,
    )
    assert manifest["target"]["url"].endswith(f"/v2/team/app/manifests/{digest_of(MANIFEST)}")
    assert manifest["request"]["method"] == "PUT"
    assert manifest["source"]["addr"].endswith(f":{server.port}")
    assert (deleted["action"], deleted["target"]["digest"]) == ("delete", digest_of(MANIFEST))
    assert (untagged["action"], untagged["target"]["tag"]) == ("delete", "v1")
    assert f"configuring endpoint e0 ({receiver.url('/...')})" in server.log()


def test_pulls_are_told_of_as_the_go_registry_tells_of_them(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, overlay(receiver, ignore={"actions": ["push"]})) as server:
        api = Api("127.0.0.1", server.port)
        digest = api.push_blob("team/app", b"x" * 100)
        push(server, "v1")
        manifest, blob = "/v2/team/app/manifests", f"/v2/team/app/blobs/{digest}"
        asked = [
            ("GET", f"{manifest}/v1", {}, 200),
            ("HEAD", f"{manifest}/{digest_of(MANIFEST)}", {}, 200),
            ("GET", f"{manifest}/v1", {"If-None-Match": f'"{digest_of(MANIFEST)}"'}, 304),
            ("GET", f"{manifest}/unknown", {}, 404),
            ("GET", blob, {}, 200),
            ("HEAD", blob, {"User-Agent": "a client", "X-Forwarded-For": "192.0.2.1"}, 200),
            ("GET", blob, {"Range": "bytes=0-9"}, 206),
            ("GET", blob, {"If-None-Match": f'"{digest}"'}, 304),
            ("GET", blob, {"Range": "bytes=1000-"}, 416),
            ("GET", f"{blob[:-4]}0000", {}, 404),
        ]
        for method, path, headers, status in asked:
            assert api.request(method, path, headers=headers).status == status
        wait_until("all are told", lambda: len(receiver.taken) == 7)

    told = receiver.taken
    # Each of the two workers tells its own.
    assert sorted((each["request"]["method"], each["target"].get("tag", "")) for each in told) == sorted(
        [("GET", "v1"), ("HEAD", ""), ("GET", ""), ("HEAD", ""), ("GET", ""), ("GET", ""), ("GET", "")]
    )
    blobs = [each for each in told if each["target"]["mediaType"] == "application/octet-stream"]
    assert [(each["target"]["digest"], each["target"]["size"]) for each in blobs] == [(digest, 100)] * 5
    assert {each["action"] for each in told} == {"pull"}
    assert {each["source"]["instanceID"] for each in told} == {told[0]["source"]["instanceID"]}
    (head,) = [each for each in blobs if each["request"]["method"] == "HEAD"]
    assert (head["request"]["useragent"], head["request"]["addr"]) == ("a client", "192.0.2.1")
    assert head["target"]["url"] == f"{server.url}{blob}"


def metric(server: Serving, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(server.debug("/metrics").body.decode())
    samples = (sample for family in families for sample in family.samples)
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def events_counted(server: Serving, kind: str) -> float:
    return metric(server, "registry_notifications_events_total", endpoint="e0", type=kind)


def test_metrics_have_the_names_of_the_go_registry(tmp_path: Path, receiver: Receiver) -> None:
    def refuse_pulls(request: Received) -> Answering:
        return Answering(410 if request.events[0]["target"].get("tag") == "poison" else 200)

    receiver.answer = refuse_pulls
    with serving(tmp_path, overlay(receiver, ignore={"actions": ["pull"]}, threshold=2)) as server:
        for tag in ("v1", "poison", "v2"):
            push(server, tag)
        wait_until("all are told", lambda: receiver.tags == ["v1", "v2"])
        wait_until("and counted", lambda: metric(server, "registry_notifications_events_total", type="Successes") == 2)

        def events(kind: str) -> float:
            return metric(server, "registry_notifications_events_total", type=kind, endpoint="e0")

        assert (events("Events"), events("Failures"), events("Dead"), events("Dropped")) == (3, 2, 1, 0)
        assert metric(server, "registry_notifications_status_total", code="200 OK", endpoint="e0") == 2
        assert metric(server, "registry_notifications_status_total", code="410 Gone", endpoint="e0") == 2
        wait_until("none waits", lambda: b"registry_notifications_pending_total" in server.debug("/metrics").body)
        assert metric(server, "registry_notifications_pending_total", endpoint="e0") == 0
        assert metric(server, "registry_notifications_oldest_seconds", endpoint="e0") == 0


def test_dead_letters_are_told_of_and_so_are_those_that_are_too_many(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answering(410)
    settings = overlay(receiver, ignore={"actions": ["pull"]})
    settings["notifications"]["journal"] = {"maxdead": 2}
    with serving(tmp_path, settings) as server:
        for n in range(5):
            push(server, f"v{n}")
        wait_until("three are gone", lambda: events_counted(server, "Dropped") == 3)
        assert events_counted(server, "Dead") == 5
        wait_until("it is said", lambda: "dead letters are deleted, the oldest" in server.log())
        assert "more dead letters (registry notifications list --dead)" in server.log()


def test_an_endpoint_that_fails_lets_events_wait_and_does_not_make_the_registry_sick(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Answering(500)
    with serving(tmp_path, overlay(receiver, ignore={"actions": ["pull"]})) as server:
        push(server, "v1")
        push(server, "v2")
        wait_until("they wait", lambda: metric(server, "registry_notifications_pending_total", endpoint="e0") >= 1)
        wait_until("for long", lambda: metric(server, "registry_notifications_oldest_seconds", endpoint="e0") > 0)
        assert server.debug("/debug/health").status == 200
        assert server.log().count("endpoint e0 does not take events") == 1

        receiver.answer = lambda _: Answering()
        wait_until("all are told", lambda: receiver.tags == ["v1", "v2"])
        wait_until("the log says so", lambda: "endpoint e0 takes events again" in server.log())


def reload(server: Serving, path: Path, *receivers: Receiver, **keys: Any) -> None:
    """Have the server read the configuration again, with endpoints at `receivers`."""
    configuration = yaml.safe_load((path / "config.yml").read_text())
    configuration |= overlay(*receivers, **keys)
    (path / "config.yml").write_text(yaml.safe_dump(configuration))
    before, workers = server.log().count("configuration read again"), server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_until("it is read", lambda: server.log().count("configuration read again") > before)
    # Two that serve, and one that delivers.
    expected = 2 if keys.get("disabled") else 3
    wait_until("by all workers", lambda: not workers & server.workers() and len(server.workers()) == expected)


def test_sighup_changes_endpoints_without_losing_what_waits(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answering(500)
    with receiving() as elsewhere, receiving() as new, serving(tmp_path, overlay(receiver)) as server:
        push(server, "waits")
        reload(server, tmp_path, elsewhere, new)
        push(server, "after")
        wait_until("the endpoint gets it at its new URL", lambda: elsewhere.tags == ["waits", "after"])
        wait_until("the new one gets what is new", lambda: new.tags == ["after"])

        reload(server, tmp_path, elsewhere)
        push(server, "last")
        wait_until("the one that is left is told", lambda: elsewhere.tags == ["waits", "after", "last"])
        reload(server, tmp_path, elsewhere, new)
        push(server, "again")
        wait_until("both are told", lambda: elsewhere.tags[-1] == new.tags[-1] == "again")
    assert new.tags == ["after", "again"], "what happened while it was not configured is not told"
    assert not receiver.requests


def test_a_disabled_endpoint_is_told_nothing_and_goes_on_later_from_where_it_was(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Answering(500)
    with serving(tmp_path, overlay(receiver)) as server:
        push(server, "waits")
        reload(server, tmp_path, receiver, disabled=True)
        assert "endpoint e0 disabled, skipping" in server.log()
        receiver.answer = lambda _: Answering()
        push(server, "unseen")
        reload(server, tmp_path, receiver)
        push(server, "after")
        wait_until("all are told", lambda: receiver.tags == ["waits", "after"])


def test_a_registry_that_is_read_only_tells_of_pulls_and_writes_nothing(tmp_path: Path, receiver: Receiver) -> None:
    read_only = {"storage": {"maintenance": {"readonly": {"enabled": True}}}}
    with serving(tmp_path) as server:
        push(server, "v1")
    before = sorted(str(path) for path in (tmp_path / "root").rglob("*"))
    with serving(tmp_path, overlay(receiver) | read_only) as server:
        assert Api("127.0.0.1", server.port).request("GET", "/v2/team/app/manifests/v1").status == 200
        wait_until("it is told", lambda: [each["action"] for each in receiver.taken] == ["pull"])
    assert sorted(str(path) for path in (tmp_path / "root").rglob("*")) == before


def test_after_a_kill_of_everything_what_was_acknowledged_is_delivered(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answering(500)
    with suppress(AssertionError), serving(tmp_path, overlay(receiver)) as server:
        push(server, "v1")
        push(server, "v2")
        for pid in (server.process.pid, *server.workers()):
            os.kill(pid, signal.SIGKILL)
    receiver.answer = lambda _: Answering()
    with serving(tmp_path, overlay(receiver)):
        wait_until("all are told", lambda: receiver.tags == ["v1", "v2"])


def test_a_restart_in_the_middle_of_a_delivery_repeats_nothing(tmp_path: Path, receiver: Receiver) -> None:
    def answer(_: Received) -> Answering:
        time.sleep(0.03)
        return Answering()

    receiver.answer = answer
    with serving(tmp_path, overlay(receiver)) as server:
        for n in range(40):
            push(server, f"v{n}")
        wait_until("some are told", lambda: receiver.tags)
    with serving(tmp_path, overlay(receiver)):
        wait_until("all are told", lambda: len(receiver.tags) >= 40)
    assert receiver.tags == [f"v{n}" for n in range(40)]


def test_an_endpoint_that_hangs_does_not_hold_up_the_stop(tmp_path: Path, receiver: Receiver) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: Received) -> Answering:
        asked.set()
        over.wait(60)
        return Answering(500)

    receiver.answer = hang
    try:
        with serving(tmp_path, overlay(receiver, timeout="10m", parallel=4)) as server:
            for repository in ("team/a", "team/b", "team/c"):  # of several lanes
                push(server, "v1", repository)
            assert asked.wait(60)
            began = time.monotonic()
        assert time.monotonic() - began < 30
        assert "Traceback" not in server.log()
        assert "SIGKILL" not in server.log()
    finally:
        over.set()
