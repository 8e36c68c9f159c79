"""Endpoints of notifications beside a real server: bad ones, one that stands still, and their cost."""

from __future__ import annotations

import base64
import os
import statistics
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.processes import PeakMemory, memory
from tests.integration.api import digest_of
from tests.integration.bad_endpoints import bad_endpoints
from tests.integration.event_load import Pushes, manifest, pushed, put
from tests.integration.event_receiver import EventReceiver, Reply
from tests.integration.secrecy import Secrecy
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(900)

WAITING_EVENTS = int(os.environ.get("WAITING_EVENTS") or 3000)
"""100,000 take some minutes."""
TAGS = 10
CLIENTS = 4
ROUNDS = 60
MIB = 1 << 20
BOUND_BYTES = 32 * MIB
"""Of processes that begin to speak HTTP. Of 100,000 events that stayed in memory, each would be 1 KiB or more."""
SIGNING_KEY = f"whsec_{base64.b64encode(b'a key of 24 bytes or more').decode()}"


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with EventReceiver() as running:
        yield running


def settings(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    return {"http": {"workers": 2}, "notifications": {"endpoints": [endpoint]}}


def with_secrets(name: str, endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Give an endpoint that has all that may be secret, and is tried again soon."""
    url = endpoint["url"].replace("://", "://someone:in-the-userinfo@").rstrip("/")
    return {
        "name": name,
        "timeout": "300ms",
        "threshold": 3,
        "backoff": "100ms",
        "maxbackoff": "1s",
        "headers": {"Authorization": ["Bearer in-a-header"], "X-Key": ["in-a-header"]},
        "secret": SIGNING_KEY,
        **endpoint,
        "url": f"{url}/hook?token=in-the-query",
    }


def push_pull_and_delete(server: Server, rounds: int) -> list[float]:
    """Give how long each push and pull took, in seconds."""
    took = []
    for number in range(rounds):
        began = time.perf_counter()
        assert put(server.api, "team/app", f"v{number}").status == 201
        assert server.api.manifest("team/app", f"v{number}").status == 200
        took.append(time.perf_counter() - began)
        if number % 4 == 3:
            digest = digest_of(manifest(f"team/app:v{number}"))
            assert server.api.delete(f"/v2/team/app/manifests/{digest}").status == 202
    return took


def test_bad_endpoints_of_every_kind_hold_up_neither_a_good_one_nor_the_registry_and_say_so_once_without_secrets(
    start_server: StartServer, tmp_path: Path, receiver: EventReceiver
) -> None:
    plain = start_server(settings={"http": {"workers": 2}}, root=tmp_path / "plain")
    push_pull_and_delete(plain, ROUNDS)
    without = statistics.median(push_pull_and_delete(plain, ROUNDS))
    plain.stop_cleanly()
    debug = free_port()
    with EventReceiver() as elsewhere, bad_endpoints(tmp_path, elsewhere) as bad:
        elsewhere.always(Reply(501))
        endpoints = [with_secrets(name, each.settings) for name, each in bad.items()]
        server = start_server(
            settings={
                "http": {"workers": 2, "debug": {"addr": f"127.0.0.1:{debug}"}},
                "notifications": {"endpoints": [*endpoints, {"name": "good", "url": receiver.url}]},
            }
        )
        push_pull_and_delete(server, ROUNDS)
        wait_until("all endpoints have failed", lambda: all(f"endpoint {name} does" in server.log for name in bad))
        began, before = time.monotonic(), memory(server.pid).pss
        beside = statistics.median(push_pull_and_delete(server, ROUNDS))
        assert urllib.request.urlopen(f"http://127.0.0.1:{debug}/debug/health").status == 200
        every = {"push": 2 * ROUNDS, "pull": 2 * ROUNDS, "delete": 2 * ROUNDS // 4 * 2}
        wait_until(
            "the good one is told of everything",
            lambda: Counter(each["action"] for each in receiver.events()) == every,
            seconds=30,
        )
        grown = memory(server.pid).pss - before
        minutes = 2 + int((time.monotonic() - began) / 60)
        server.stop_cleanly()

    print(f"median {without * 1e3:.1f} ms without endpoints, {beside * 1e3:.1f} ms beside them; {grown / MIB:.1f} MiB")
    assert beside < 10 * without + 0.05
    assert grown < BOUND_BYTES
    lines = server.log.splitlines()
    said = {name: [line for line in lines if f"endpoint {name} does not take events" in line] for name in bad}
    assert [said[name] for name, each in bad.items() if not any(each.said in line for line in said[name])] == []
    assert [told for told in said.values() if len(told) > minutes] == []
    assert elsewhere.requests
    assert not {"authorization", "x-key"} & {name.lower() for each in elsewhere.requests for name, _ in each.headers}
    secrecy = Secrecy(logs={server.log_path})
    secrecy.add_configuration(server.settings)
    assert secrecy.leaks() == []


def test_a_receiver_that_comes_back_is_told_all_that_waited_in_order_from_flat_memory(
    start_server: StartServer,
) -> None:
    receiver, pushes = EventReceiver(), Pushes()
    server = start_server(settings=settings({"name": "ci", "url": receiver.url, "maxbackoff": "2s"}))
    pushes.many(server.api, CLIENTS, 5, TAGS)
    before = memory(server.pid).pss
    with PeakMemory([server.pid]) as seen, receiver:
        receiver.stop()
        pushes.many(server.api, CLIENTS, WAITING_EVENTS // CLIENTS // TAGS, TAGS)
        wait_until("it has failed", lambda: "endpoint ci does not take events: " in server.log)
        receiver.start()
        wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()), seconds=600)

    print(f"PSS {before / MIB:.1f} MiB before, {seen.peak.pss / MIB:.1f} MiB at most with {WAITING_EVENTS} events")
    assert pushed(receiver.events()) == pushes.acknowledged
    assert seen.peak.pss - before < BOUND_BYTES
    wait_until("the log says that it works", lambda: "endpoint ci takes events again, after " in server.log)


def test_a_receiver_that_answers_500_for_a_while_is_told_everything_in_order_once_it_takes_events(
    start_server: StartServer, receiver: EventReceiver
) -> None:
    receiver.in_turn([Reply(500)] * 20)
    quick = {"threshold": 3, "backoff": "50ms", "maxbackoff": "200ms"}
    server, pushes = start_server(settings=settings({"name": "ci", "url": receiver.url, **quick})), Pushes()
    pushes.many(server.api, CLIENTS, 20)
    wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()[20:]))
    assert pushed(receiver.events()) == pushes.acknowledged
    assert len(receiver.requests) == 20 + sum(map(len, pushes.acknowledged.values()))


def test_a_slow_receiver_is_told_by_as_many_lanes_as_parallel_says_in_the_order_of_each_repository(
    start_server: StartServer, receiver: EventReceiver
) -> None:
    def slowly(_: object) -> Reply:
        time.sleep(0.2)
        return Reply()

    receiver.reply = slowly
    endpoint = {"name": "ci", "url": receiver.url, "timeout": "30s", "parallel": 8}
    server, pushes = start_server(settings=settings(endpoint)), Pushes()
    pushes.many(server.api, clients=16, pushes=1, tags=10)
    began = time.monotonic()
    wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()))
    took = time.monotonic() - began
    assert pushed(receiver.events()) == pushes.acknowledged
    # One after another they take 32 s; of 16 names, 4 are in the same lane at most, so 8 lanes take 8 s.
    assert took < 20, took
