"""Documents that strangers have pushed are read one at a time, whatever they are asked for by."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.error_codes import RETRY_SECONDS
from registry.handlers.turn import Turn
from registry.oci.digest import Digest
from tests.browsing import attached
from tests.browsing.attached import encoded
from tests.browsing.test_attached import push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from registry.handlers.looking import Looking
    from tests.conftest import Serve

SECONDS = 30
DOCUMENT = encoded(attached.SPDX_2)
PATHS = (
    "/ui/_document?repository=app&digest={0}",
    "/ui/_attached?repository=app&digest={0}",
    "/ui/_readme?repository=app",
    "/ui/_compare?repository=app&one={0}&other={0}",
    "/v2/app/_registry/compare?from={0}&to={0}",
)


class HeldDriver(InMemoryDriver):
    """A storage that gives nothing of one content before it is let go, and notes how many have asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.let_go.set()

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        if Digest.of(DOCUMENT).hex in path:
            self.asked.release()
            assert self.let_go.wait(SECONDS)
        return super().read(path, start, stop)


@pytest.fixture
def driver() -> HeldDriver:
    return HeldDriver()


@pytest.fixture
def client(serve: Serve, driver: HeldDriver) -> FlaskClient:
    return serve(driver, ui={"enabled": True}, http={"extensions": {"enabled": True}})


@pytest.fixture
def digest(client: FlaskClient) -> Digest:
    return push(client, {"content": DOCUMENT, "type": "application/spdx+json"}, tag="readme")


def in_a_thread(client: FlaskClient, path: str, answers: list[TestResponse]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(client.application.test_client().get(path)))
    thread.start()
    return thread


def test_a_document_is_read_when_the_one_before_is_done_with(
    client: FlaskClient, driver: HeldDriver, digest: Digest
) -> None:
    answers: list[TestResponse] = []
    driver.let_go.clear()
    threads = [in_a_thread(client, PATHS[0].format(digest), answers) for _ in range(3)]

    assert driver.asked.acquire(timeout=SECONDS)
    assert not driver.asked.acquire(timeout=0.3), "two are read at a time"
    driver.let_go.set()

    for thread in threads:
        thread.join(SECONDS)
    assert [answer.status_code for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize("path", PATHS)
def test_who_waits_too_long_is_told_when_to_come_again(
    client: FlaskClient, driver: HeldDriver, digest: Digest, path: str
) -> None:
    extensions = client.application.extensions
    kept: Looking = extensions["registry.looking"]
    extensions["registry.looking"] = replace(kept, turn=Turn(0.05))
    answers: list[TestResponse] = []
    driver.let_go.clear()
    thread = in_a_thread(client, PATHS[0].format(digest), answers)
    assert driver.asked.acquire(timeout=SECONDS)

    refused = client.get(path.format(digest))

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, RETRY_SECONDS)
    assert "others have documents read here at the moment" in refused.text.lower()
    driver.let_go.set()
    thread.join(SECONDS)
    assert answers[0].status_code == 200
    assert client.get(path.format(digest)).status_code == 200
