from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from registry.config.remote import Redis
from registry.oci.digest import Digest
from registry.redis.connecting import connector
from registry.redis.descriptors import RedisDescriptors
from registry.storage.descriptors import LIFETIME_SECONDS
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.redis.server import RedisServer

DIGEST = Digest.of(b"content")
KEY = f"registry:blob-size:{DIGEST}"
OTHER = Digest.of(b"other")


class Notebook:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures = 0

    def redis_called(self, operation: str, seconds: float) -> None:
        assert seconds > 0
        self.calls.append(operation)

    def cache_failed(self) -> None:
        self.failures += 1


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.redis.circuit._PAUSE_SECONDS", 0.05)


def in_use(cache: RedisDescriptors) -> bool:
    """Tell whether redis is asked, because it answers."""
    return cache._circuit.usable()


def descriptors(server: RedisServer, observer: Notebook | None = None, **options: Any) -> RedisDescriptors:
    """Return a cache that is in use, and that waits for a slow machine unless `options` say otherwise."""
    patient = {"dialtimeout_seconds": 60.0, "readtimeout_seconds": 60.0}
    section = Redis(addrs=(server.addr,), **{**patient, **options})
    found = RedisDescriptors(connector(section), observer)
    wait_until("it is in use", lambda: in_use(found))
    return found


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_one_host_has_seen_another_one_knows_until_it_is_dropped(server: RedisServer) -> None:
    here, there = descriptors(server), descriptors(server)

    assert here.get(DIGEST) is None
    here.put(DIGEST, 7)
    assert (there.get(DIGEST), there.get(OTHER)) == (7, None)
    here.put(DIGEST, 2**40)
    assert there.get(DIGEST) == 2**40
    there.drop(DIGEST)
    assert here.get(DIGEST) is None


def test_entry_ends_by_itself(server: RedisServer) -> None:
    descriptors(server).put(DIGEST, 7)
    assert 0 < server.client().ttl(KEY) <= LIFETIME_SECONDS


@pytest.mark.parametrize("value", [b"", b"-7", b"7.0", b" 7", b"seven", b"\xff\xfe", b"9" * 30, b'{"size": 7}'])
def test_what_another_program_wrote_and_is_no_size_is_absent(server: RedisServer, value: bytes) -> None:
    found = descriptors(server)
    server.client().set(KEY, value)

    assert found.get(DIGEST) is None
    found.put(DIGEST, 7)
    assert found.get(DIGEST) == 7


def test_value_of_another_type_is_absent_told_once_and_replaced(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    notebook = Notebook()
    found = descriptors(server, notebook)
    server.client().hset(KEY, mapping={"size": 7})

    assert [found.get(DIGEST) for _ in range(5)] == [None] * 5
    assert in_use(found)
    assert (notebook.failures, len(warnings(caplog))) == (5, 1)
    assert "WRONGTYPE" in warnings(caplog)[0]
    found.put(DIGEST, 7)
    assert found.get(DIGEST) == 7


def test_calls_are_told_to_the_observer_by_the_names_of_the_go_registry(server: RedisServer) -> None:
    notebook = Notebook()
    found = descriptors(server, notebook)
    found.get(DIGEST)
    found.put(DIGEST, 7)
    found.drop(DIGEST)
    assert notebook.calls == ["Stat", "SetDescriptor", "Clear"]
    assert notebook.failures == 0


def test_killed_redis_is_as_good_as_empty_said_once_and_used_again_when_it_is_back(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    notebook = Notebook()
    found = descriptors(server, notebook)
    found.put(DIGEST, 7)

    server.kill()
    for _ in range(50):
        assert found.get(DIGEST) is None
        found.put(DIGEST, 7)
        found.drop(OTHER)
    assert not in_use(found)
    with pytest.raises(Exception, match="Connection refused"):
        found.look()
    assert len(notebook.calls) == 2, "nobody asks it any more"
    assert notebook.failures == 1

    server.start()
    wait_until("it is in use again", lambda: in_use(found))
    assert found.get(DIGEST) is None
    found.put(DIGEST, 8)
    assert found.get(DIGEST) == 8
    found.look()
    (warning,) = warnings(caplog)
    assert warning.startswith(f"redis {server.addr}: ")
    assert warning.endswith("; storage is asked instead")
    assert f"redis {server.addr} answers again" in [record.getMessage() for record in caplog.records]


def test_redis_that_hangs_holds_each_thread_up_once_at_most(server: RedisServer) -> None:
    notebook = Notebook()
    found = descriptors(server, notebook, readtimeout_seconds=0.2)
    found.put(DIGEST, 7)
    server.hang()

    threads = [threading.Thread(target=lambda: [found.get(DIGEST) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not in_use(found)
    assert notebook.failures <= 9


def test_connections_that_are_all_in_use_are_a_miss_and_no_failure_of_redis(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    found = descriptors(server, poolsize=1)
    found.put(DIGEST, 7)
    sizes: set[int | None] = set()

    def ask() -> None:
        deadline = time.monotonic() + 60
        while len(sizes) < 2 and time.monotonic() < deadline:
            sizes.add(found.get(DIGEST))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sizes == {7, None}
    assert in_use(found)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"password": "a-wrong-one"}, "invalid username-password pair"),
        ({}, "Authentication required"),
        ({"username": "nobody", "password": "a-wrong-one"}, "invalid username-password pair"),
    ],
)
def test_wrong_password_is_said_without_it(
    server: RedisServer, caplog: pytest.LogCaptureFixture, options: Mapping[str, Any], reason: str
) -> None:
    server.client().config_set("requirepass", "the right one")

    found = RedisDescriptors(connector(Redis(addrs=(server.addr,), **options)))
    wait_until("it is said", lambda: warnings(caplog))

    assert found.get(DIGEST) is None
    assert reason in warnings(caplog)[0]
    assert "a-wrong-one" not in caplog.text


@pytest.mark.parametrize("addr", ["no-such-host.invalid:6379", "127.0.0.1:1", "/nowhere/redis.sock"])
def test_redis_that_is_not_there_at_the_start_stops_nothing(addr: str, caplog: pytest.LogCaptureFixture) -> None:
    found = RedisDescriptors(connector(Redis(addrs=(addr,))))
    wait_until("it is said", lambda: warnings(caplog))

    found.put(DIGEST, 7)
    assert found.get(DIGEST) is None
    assert len(warnings(caplog)) == 1


def test_sentinels_that_are_not_there_are_told_of_without_a_password(caplog: pytest.LogCaptureFixture) -> None:
    section = Redis(addrs=("127.0.0.1:1",), mastername="images", password="a-secret", sentinelpassword="a-secret")
    found = RedisDescriptors(connector(section))
    wait_until("it is said", lambda: warnings(caplog))

    assert found.get(DIGEST) is None
    assert "No master found for 'images'" in warnings(caplog)[0]
    assert "a-secret" not in caplog.text


def test_cluster_that_is_not_there_is_asked_by_no_request(caplog: pytest.LogCaptureFixture) -> None:
    found = RedisDescriptors(connector(Redis(addrs=("127.0.0.1:1", "127.0.0.1:2"))))
    wait_until("it is said", lambda: warnings(caplog))

    assert found.get(DIGEST) is None
    assert "cannot be connected" in warnings(caplog)[0]


def test_command_that_redis_refuses_is_no_reason_to_keep_away_from_it(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    found = descriptors(server)
    found.put(DIGEST, 7)
    server.client().config_set("maxmemory", 1)

    found.put(OTHER, 8)

    assert in_use(found)
    assert found.get(DIGEST) == 7
    assert "maxmemory" in warnings(caplog)[0]
