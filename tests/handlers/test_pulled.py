"""What is kept of a pull until an endpoint is told of it."""

from __future__ import annotations

import gc
import tracemalloc
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.config.events import Notifications
from registry.config.values import Configuration, Storage
from registry.services import build_services
from tests.handlers.pushing import push_image
from tests.notifications.journals import endpoint
from tests.notifications.receiver import Receiver, receiving
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from registry.services import Services

LONG = 20_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def services(receiver: Receiver) -> Services:
    told = Notifications(endpoints=(endpoint(receiver.url()),))
    return build_services(Configuration("0.1", Storage("inmemory", {}), notifications=told), driver=InMemoryDriver())


@pytest.fixture
def client(services: Services) -> FlaskClient:
    made = create_app(services).test_client()
    push_image(made, "team/app", "v1")
    return made


def headers_of(user: str, filling: str) -> dict[str, str]:
    return {
        "Authorization": "Basic " + b64encode(f"{user}:{filling}".encode()).decode(),
        "User-Agent": filling,
        "X-Forwarded-For": f"192.0.2.1, {filling}",
        "Forwarded": f"for={filling}",
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_client_sends_does_not_fill_the_memory_while_its_pulls_wait(client: FlaskClient, method: str) -> None:
    def held_after(number: int) -> int:
        for n in range(number):
            client.open("/v2/team/app/manifests/v1", method=method, headers=headers_of("alice", f"{n:05}" + "x" * LONG))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = held_after(20)
        held = held_after(200) - before
    finally:
        tracemalloc.stop()
    assert held < 200 * 4096


def test_of_a_pull_with_long_headers_an_endpoint_is_told_what_fits(
    client: FlaskClient, services: Services, receiver: Receiver
) -> None:
    client.get("/v2/team/app/manifests/v1", headers=headers_of("alice", "x" * LONG))
    client.get("/v2/team/app/manifests/v1", headers=headers_of("bob", "y" * 10))
    assert services.pulls
    services.pulls.start()
    wait_until("both are told", lambda: len(receiver.taken) == 2)

    told = [(each["actor"]["name"], each["request"]["useragent"], each["request"]["addr"]) for each in receiver.taken]
    assert told == [("alice", "x" * 512, "192.0.2.1"), ("bob", "y" * 10, "192.0.2.1")]
