"""Limits, the circuit, slow and distant upstreams."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import Network
from registry.foundation.http_client import Headers
from registry.oci.errors import (
    UpstreamBusyError,
    UpstreamFailedError,
    UpstreamLimitedError,
    UpstreamSilentError,
)
from registry.upstream.circuit import Circuit
from registry.upstream.limits import quantity, retry_seconds
from tests.upstream.content import CONTENT, LATEST, NAME, failing, image, there
from tests.upstreams import faults

if TYPE_CHECKING:
    from registry.upstream.client import Upstream
    from tests.upstream.conftest import Connect
    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault

LATE_SECONDS = 15


def test_no_manifest_is_asked_for_while_the_upstream_says_to_wait(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    blob = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.limited("120"), method="GET", path="/manifests/")
    for _ in range(3):
        with pytest.raises(UpstreamLimitedError, match=r"^hub limits requests$") as caught:
            upstream.manifest(NAME, digest)
        assert caught.value.retry_seconds
        assert 100 < caught.value.retry_seconds <= 120
    assert remote.count("GET", "/manifests/") == 1
    assert upstream.find(NAME, LATEST) == digest
    with there(upstream.blob(NAME, blob)) as stream:
        assert b"".join(stream) == CONTENT


def test_where_head_is_limited_get_is_too(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(faults.limited("120"), method="HEAD")
    for _ in range(3):
        with pytest.raises(UpstreamLimitedError):
            upstream.find(NAME, LATEST)
        with pytest.raises(UpstreamLimitedError):
            upstream.manifest(NAME, digest)
    assert len(remote.asked) == 1


def test_a_manifest_is_asked_for_again_when_the_time_is_over(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(faults.limited("1"), times=1)
    with pytest.raises(UpstreamLimitedError):
        upstream.manifest(NAME, digest)
    end = time.monotonic() + LATE_SECONDS
    while time.monotonic() < end:
        try:
            assert upstream.manifest(NAME, digest)
        except UpstreamLimitedError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it was not asked again")


def test_a_limit_of_blobs_is_told_and_holds_nothing_up(upstream: Upstream, remote: Registry) -> None:
    blob, digest = remote.put_blob(NAME, CONTENT), remote.put_manifest(NAME, image())
    remote.misbehave(faults.limited("120"), path="/blobs/", times=1)
    with pytest.raises(UpstreamLimitedError):
        upstream.blob(NAME, blob)
    assert upstream.blob_size(NAME, blob) == len(CONTENT)
    assert upstream.manifest(NAME, digest)


def test_an_error_may_say_when_to_come_back(upstream: Upstream, remote: Registry) -> None:
    remote.misbehave(faults.status(503, Retry_After="7"), times=1)
    remote.misbehave(faults.status(503), times=1)
    for seconds in (7, None):
        with pytest.raises(UpstreamFailedError, match=r"^hub answers 503$") as caught:
            upstream.find(NAME, LATEST)
        assert caught.value.retry_seconds == seconds


NOW = datetime(2024, 5, 17, 12, tzinfo=UTC)


def in_seconds(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("99999999999", 30),
        ("99999", 3600),
        ("", 30),
        ("soon", 30),
        ("-5", 30),
        (in_seconds(90), 90),
        (in_seconds(-90), 1),
        (in_seconds(90_000), 3600),
    ],
)
def test_how_long_to_wait_is_said_in_seconds_or_by_a_date(text: str, seconds: int) -> None:
    assert retry_seconds(Headers.of([("Retry-After", text), ("Date", in_seconds(0))])) == seconds


def test_a_quantity_is_the_number_before_its_window() -> None:
    headers = Headers.of([("A", "76;w=21600"), ("B", "100"), ("C", "many"), ("D", "")])
    assert [quantity(headers, name) for name in "ABCDE"] == [76, 100, None, None, None]


@pytest.mark.parametrize("fault", [faults.status(502), faults.status(503), faults.status(504), faults.reset()])
def test_after_five_failures_in_a_row_the_upstream_is_left_alone(
    upstream: Upstream, remote: Registry, fault: Fault
) -> None:
    remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(fault)
    for _ in range(5):
        with pytest.raises(UpstreamFailedError):
            upstream.find(NAME, LATEST)
    came = len(remote.asked)
    remote.behave()
    with pytest.raises(UpstreamBusyError, match=r"^hub has failed too often just before$") as caught:
        upstream.find(NAME, LATEST)
    assert caught.value.retry_seconds
    assert 1 <= caught.value.retry_seconds <= 10
    assert len(remote.asked) == came


def test_answers_between_failures_keep_the_circuit_closed(upstream: Upstream, remote: Registry) -> None:
    for _ in range(4):
        remote.misbehave(faults.status(503), times=4)
        for _ in range(4):
            with pytest.raises(UpstreamFailedError):
                upstream.find(NAME, LATEST)
        assert upstream.find(NAME, LATEST) is None


def test_what_it_answers_about_one_thing_does_not_keep_clients_from_others(
    upstream: Upstream, remote: Registry, other: Registry
) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    other.misbehave(faults.status(503))
    nobody = "http://127.0.0.1:1"
    for fault in (faults.status(500), faults.elsewhere(other.url), faults.elsewhere(nobody)):
        remote.misbehave(fault, times=6)
        for _ in range(6):
            with pytest.raises((UpstreamFailedError, UpstreamSilentError)):
                upstream.blob_size(NAME, digest)
        assert upstream.find(NAME, LATEST) == digest


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(circuit: Circuit, times: int = 1) -> None:
    for _ in range(times):
        circuit.enter()
        circuit.failed()


def test_a_circuit_lets_one_try_and_waits_longer_each_time_it_fails() -> None:
    clock, told = Clock(), list[bool]()
    circuit = Circuit("hub", told.append, clock)
    fail(circuit, 5)
    for seconds in (10, 20, 40, 60, 60):
        with pytest.raises(UpstreamBusyError) as caught:
            circuit.enter()
        assert caught.value.retry_seconds == seconds
        clock.now += seconds
        circuit.enter()
        with pytest.raises(UpstreamBusyError):
            circuit.enter()
        circuit.failed()
    assert told == [True]
    clock.now += 60
    circuit.enter()
    circuit.succeeded()
    circuit.enter()
    assert told == [True, False]
    fail(circuit, 4)
    circuit.enter()


def test_who_tries_and_learns_nothing_leaves_it_to_the_next() -> None:
    clock = Clock()
    circuit = Circuit("hub", lambda _: None, clock)
    fail(circuit, 5)
    clock.now = 10
    circuit.enter()
    circuit.left()
    circuit.enter()


IMPATIENT = Network(answertimeout_seconds=0.5, stalltimeout_seconds=0.5, connections=2)


def test_an_upstream_that_does_not_answer_is_silent(remote: Registry, connect: Connect) -> None:
    upstream, digest = connect(remote, network=IMPATIENT), remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(faults.hang)
    began = time.monotonic()
    with failing(UpstreamSilentError, r"^timed out after 0\.5 s$"):
        upstream.find(NAME, LATEST)
    remote.behave()
    remote.misbehave(faults.stall(3))
    with failing(UpstreamSilentError, r"^timed out after 0\.5 s$"):
        upstream.manifest(NAME, digest)
    assert time.monotonic() - began < LATE_SECONDS


def test_a_manifest_that_trickles_in_ends_in_time(remote: Registry, connect: Connect) -> None:
    upstream, digest = connect(remote, network=IMPATIENT), remote.put_manifest(NAME, image())
    remote.misbehave(faults.slow(1, 0.1))
    began = time.monotonic()
    with pytest.raises(UpstreamSilentError):
        upstream.manifest(NAME, digest)
    assert time.monotonic() - began < len(image()) * 0.1


def test_a_blob_that_stalls_is_silence(remote: Registry, connect: Connect) -> None:
    upstream, digest = connect(remote, network=IMPATIENT), remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.stall(100_000))
    with there(upstream.blob(NAME, digest)) as stream, pytest.raises(UpstreamSilentError):
        list(stream)


def test_nobody_there_is_silence(remote: Registry, connect: Connect) -> None:
    gone = connect(remote)
    remote.url = "http://127.0.0.1:1"
    with failing(UpstreamSilentError, "refused$"):
        connect(remote).find(NAME, LATEST)
    assert gone.find(NAME, LATEST) is None


def test_no_more_blobs_come_at_once_than_are_set(remote: Registry, connect: Connect) -> None:
    upstream, digest = connect(remote, network=IMPATIENT), remote.put_blob(NAME, CONTENT)
    with there(upstream.blob(NAME, digest)), there(upstream.blob(NAME, digest)) as second:
        with pytest.raises(UpstreamBusyError, match=r"^too many downloads from hub go on$"):
            upstream.blob(NAME, digest)
        assert upstream.blob_size(NAME, digest) == len(CONTENT)
        second.close()
        with there(upstream.blob(NAME, digest)) as third:
            assert b"".join(third) == CONTENT
    for _ in range(5):
        assert upstream.blob(NAME, remote.put_manifest(NAME, b"{}")) is None
        remote.misbehave(faults.status(400), times=1)
        with pytest.raises(UpstreamFailedError):
            upstream.blob(NAME, digest)


def test_threads_share_a_client(remote: Registry, connect: Connect) -> None:
    upstream, digest = connect(remote), remote.put_blob(NAME, CONTENT)
    together = threading.Barrier(8)

    def fetch(_: int) -> bool:
        together.wait(LATE_SECONDS)
        with there(upstream.blob(NAME, digest)) as stream:
            return b"".join(stream) == CONTENT

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fetch, range(8)))
