"""How the service is reached, against servers that say little: without Azurite."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NotWritableError, PathNotFoundError, UnavailableError
from registry.foundation.errors import ParameterError
from tests.drivers.proxy import Answer, Proxy, serving
from tests.serving import free_port

pytest.importorskip("azure.storage.blob", reason="the azure extra is not installed")

from drivers.azure.driver import AzureDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECTION: dict[str, object] = {"accountname": "account", "container": "images", "accountkey": "a2V5"}
OF_A_BLOB = [("ETag", '"1"'), ("Last-Modified", "Thu, 26 Nov 2026 10:00:00 GMT"), ("x-ms-blob-type", "BlockBlob")]


class Service(Proxy):
    """Notes what it is asked, and gives the same blob for everything."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port or free_port(), "")
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        del body
        self.asked.append((f"{method} {target}", headers))
        return Answer(200, [*OF_A_BLOB, ("Content-Length", "4")], b"blob")


class Ipv6Service(Service):
    """The same on the loopback address of IPv6."""

    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.server_address = ("::1", *self.server_address[1:])
        super().server_bind()


@contextmanager
def silent() -> Iterator[int]:
    """Take connections and answer nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def test_the_protocol_is_that_of_the_go_registry_and_the_path_that_of_the_service_url() -> None:
    with serving(service := Service()):
        driver = AzureDriver.from_parameters(SECTION | {"serviceurl": f"http://127.0.0.1:{service.server_port}/a/"})

        assert driver.get("/docker/b", limit=9) == b"blob"

    target, headers = service.asked[0]
    assert target == "GET /a/images/docker/b"
    assert headers["x-ms-version"] == "2025-01-05"
    assert headers["Authorization"].startswith("SharedKey account:")


def test_a_service_may_be_at_an_address_of_ipv6() -> None:
    try:
        service = Ipv6Service()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(service):
        driver = AzureDriver.from_parameters(SECTION | {"serviceurl": f"http://[::1]:{service.server_port}"})

        assert driver.stat("/docker/b").size == 4


def test_the_root_container_and_a_container_of_the_service_are_asked_by_their_names() -> None:
    with serving(service := Service()):
        for container in ("$root", "images"):
            section = SECTION | {"container": container, "serviceurl": f"http://127.0.0.1:{service.server_port}"}
            AzureDriver.from_parameters(section).get("/docker/b", limit=9)

    assert [target for target, _ in service.asked] == ["GET /%24root/docker/b", "GET /images/docker/b"]


def test_a_proxy_of_the_environment_is_asked_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(proxy := Service()):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("no_proxy", "")
        driver = AzureDriver.from_parameters(SECTION | {"serviceurl": "http://images.example"})

        assert driver.get("/docker/b", limit=9) == b"blob"

    assert proxy.asked[0][0] == "GET http://images.example/images/docker/b"


def test_a_service_that_does_not_answer_costs_no_more_than_the_time_of_a_call() -> None:
    with silent() as port:
        section = SECTION | {"serviceurl": f"http://127.0.0.1:{port}", "calltimeout": "1s"}
        driver = AzureDriver.from_parameters(section)

        with pytest.raises(UnavailableError, match="timed out"):
            driver.get("/docker/b", limit=9)


def test_a_service_that_answers_nobody_is_not_asked_for_a_while() -> None:
    with silent() as port:
        section = SECTION | {"serviceurl": f"http://127.0.0.1:{port}", "calltimeout": "1s", "max_retries": 0}
        driver = AzureDriver.from_parameters(section)
        threads = [threading.Thread(target=_fails, args=(driver,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with pytest.raises(UnavailableError, match="not asked for the next"):
            driver.get("/docker/b", limit=9)


def _fails(driver: AzureDriver) -> None:
    with pytest.raises(UnavailableError):
        driver.get("/docker/b", limit=9)


def test_what_is_not_installed_is_named_to_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "drivers.azure.login", raising=False)
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    login = {"credentials": {"type": "default_credentials"}}

    with pytest.raises(
        ParameterError, match=r"^credentials\.type: default_credentials: .*azure.*pip install .*\[azure\]"
    ):
        AzureDriver.from_parameters(SECTION | login)

    AzureDriver.from_parameters(SECTION)  # the account's key needs nothing


def test_a_page_that_a_proxy_gives_for_a_write_is_not_taken_for_success() -> None:
    with serving(service := Service()):
        driver = AzureDriver.from_parameters(SECTION | {"serviceurl": f"http://127.0.0.1:{service.server_port}"})

        writes: list[Callable[[], None]] = [
            lambda: driver.put("/docker/b", b"x"),
            lambda: driver.create("/docker/b", b"x"),
            lambda: driver.delete("/docker/b"),
        ]
        for write in writes:
            with pytest.raises(UnavailableError) as raised:
                write()
            assert not isinstance(raised.value, NotWritableError)


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ([("x-ms-error-code", "BlobNotFound")], PathNotFoundError),
        ([("x-ms-request-id", "1")], PathNotFoundError),
        ([("x-ms-error-code", "ContainerNotFound"), ("x-ms-request-id", "1")], UnavailableError),
        ([], UnavailableError),
    ],
    ids=["the service", "an emulator", "the container is gone", "a proxy"],
)
def test_a_blob_is_missing_only_if_the_service_says_so(headers: list[tuple[str, str]], word: type[DriverError]) -> None:
    with serving(service := Service()), service.intercepting(lambda *_: Answer(404, headers)):
        driver = AzureDriver.from_parameters(SECTION | {"serviceurl": f"http://127.0.0.1:{service.server_port}"})
        calls: list[Callable[[], object]] = [
            lambda: driver.get("/docker/b", limit=9),
            lambda: driver.stat("/docker/b"),
            lambda: driver.read("/docker/b"),
        ]
        for call in calls:
            with pytest.raises(DriverError) as raised:
                call()
            assert type(raised.value) is word
