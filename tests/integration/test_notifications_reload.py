"""Endpoints that are changed by SIGHUP while events wait and clients push."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import standardwebhooks

from tests.integration.event_load import Pushes, pushed
from tests.integration.event_receiver import EventReceiver, Reply
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.integration.conftest import StartServer

pytestmark = pytest.mark.timeout(300)

CLIENTS = 3
SIGNING_KEY = f"whsec_{base64.b64encode(b'another key of 24 bytes or more').decode()}"


@pytest.fixture
def first() -> Iterator[EventReceiver]:
    with EventReceiver() as running:
        yield running


@pytest.fixture
def second() -> Iterator[EventReceiver]:
    with EventReceiver() as running:
        yield running


def settings(*endpoints: Mapping[str, Any]) -> dict[str, Any]:
    return {"http": {"workers": 2, "draintimeout": "20s"}, "notifications": {"endpoints": list(endpoints)}}


def endpoint(name: str, receiver: EventReceiver, **keys: Any) -> dict[str, Any]:
    return {"name": name, "url": receiver.url, "threshold": 2, "backoff": "50ms", "maxbackoff": "200ms", **keys}


def test_what_waits_is_delivered_where_and_as_the_endpoint_says_by_now(
    start_server: StartServer, first: EventReceiver, second: EventReceiver
) -> None:
    first.always(Reply(500))
    pushes, server = Pushes(), start_server(settings=settings(endpoint("ci", first)))
    with pushes.going_on(server.api, CLIENTS):
        wait_until("events wait", lambda: first.requests)
        server.reload(settings(endpoint("ci", first, parallel=4)))
        server.reload(settings(endpoint("ci", first, parallel=4, secret=SIGNING_KEY)))
        changed = {"parallel": 2, "secret": SIGNING_KEY, "exclude": ["team/app0"]}
        server.reload(settings(endpoint("ci", second, **changed)))

    del pushes.acknowledged["team/app0"]
    wait_until("all are delivered", lambda: pushes.delivered_in(second.events()))
    assert pushed(second.events()) == pushes.acknowledged
    verifying = standardwebhooks.Webhook(SIGNING_KEY)
    for request in second.requests:
        verifying.verify(request.body, {name.lower(): value for name, value in request.headers})
    assert all(each["target"]["repository"] != "team/app0" for each in second.events())


def test_a_new_endpoint_is_told_nothing_old_and_one_that_comes_back_goes_on_where_it_was(
    start_server: StartServer, first: EventReceiver, second: EventReceiver
) -> None:
    kept, other = endpoint("kept", first), endpoint("other", second)
    pushes, server = Pushes(), start_server(settings=settings(kept))
    with pushes.going_on(server.api, CLIENTS):
        wait_until("something is old", lambda: first.requests)
        old = pushes.copy()
        server.reload(settings(kept, other))
        added = pushes.copy()
        wait_until("the new one is told", lambda: len(second.requests) > CLIENTS)
        second.always(Reply(500))
        failing = pushes.copy()
        wait_until("events wait for it", lambda: pushes.since(failing).acknowledged["team/app0"])
        removing = pushes.copy()
        server.reload(settings(kept))
        removed = pushes.copy()
        wait_until("it misses something", lambda: pushes.since(removed).acknowledged["team/app0"])
        adding = pushes.copy()
        second.always(Reply())
        server.reload(settings(kept, other))
        back = pushes.copy()
        wait_until("there is more", lambda: pushes.since(back).acknowledged["team/app0"])

    wait_until("the one that stayed is told of all", lambda: pushes.delivered_in(first.events()))
    assert pushed(first.events()) == pushes.acknowledged
    wait_until("what waited is delivered", lambda: removing.since(added).delivered_in(second.events()))
    wait_until("what is new is delivered", lambda: pushes.since(back).delivered_in(second.events()))
    told = pushed(second.events())
    for repository, tags in told.items():
        assert tags == sorted(tags)
        assert not set(tags) & set(old.acknowledged[repository])
        assert not set(tags) & set(adding.since(removed).acknowledged[repository])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"url": "ftp://127.0.0.1/"}, "notifications.endpoints[0].url"),
        ({"secret": "whsec_short"}, "notifications.endpoints[0].secret"),
        ({"cafile": "/nowhere/ca.pem"}, "notifications.endpoints[0].cafile"),
        ({"repositories": ["[a"]}, "notifications.endpoints[0].repositories"),
    ],
)
def test_a_reload_with_a_broken_endpoint_is_refused_and_the_old_one_goes_on(
    start_server: StartServer, first: EventReceiver, broken: Mapping[str, str], said: str
) -> None:
    pushes, server = Pushes(), start_server(settings=settings(endpoint("ci", first)))
    with pushes.going_on(server.api, CLIENTS):
        server.reload(settings({**endpoint("ci", first), **broken}), until="the old configuration stays in force")
        refused = pushes.copy()
        wait_until("there is more", lambda: pushes.since(refused).acknowledged["team/app0"])
    wait_until("all are delivered", lambda: pushes.delivered_in(first.events()))
    assert said in server.log
    assert pushed(first.events()) == pushes.acknowledged
