"""What becomes of a store that answers badly, or not at all: the SDKs meet a server that says what it is told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

import pytest

from drivers.base import (
    DriverError,
    Found,
    NotPermittedError,
    NotWritableError,
    PathNotFoundError,
    StorageDriver,
    UnavailableError,
)
from tests.faults import no_more_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytest.importorskip("boto3", reason="the s3 extra is not installed")
pytest.importorskip("google.cloud.storage", reason="the gcs extra is not installed")
pytest.importorskip("azure.storage.blob", reason="the azure extra is not installed")


from drivers.azure.driver import AzureDriver
from drivers.gcs.driver import GcsDriver
from drivers.s3.driver import S3Driver

_COMPLETE: Final = (
    'ETag: "1"\r\nLast-Modified: Thu, 26 Nov 2026 10:00:00 GMT\r\nX-Goog-Generation: 5\r\n'
    "x-ms-blob-type: BlockBlob\r\nContent-Range: bytes 0-99/100\r\n"
)
_HTML: Final = "<html><body>This is a proxy.</body></html>"


def _answer(status: str, body: str = "", headers: str = "", size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}".encode()


def _error(code: str) -> str:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'


PASSING: Final = {
    "nothing": b"",
    "not HTTP": b"\0garbage\r\n\r\n",
    "half a line": b"HTTP/1.1 20",
    "a page of a proxy": _answer("200 OK", _HTML, "Content-Type: text/html\r\n"),
    "an empty answer": _answer("200 OK"),
    "throttling": _answer("429 Too Many Requests", _error("SlowDown")),
    "overload": _answer("503 Slow Down", _error("SlowDown")),
    "a status of a CDN": _answer("521 Web Server Is Down", _HTML),
    "a body that is cut short": _answer("200 OK", "", _COMPLETE, size=100),
}
LASTING: Final = {
    "a refusal": _answer("403 Forbidden", _error("AccessDenied")),
    "a refusal by a proxy": _answer("403 Forbidden", _HTML),
    "credentials that are not known": _answer("403 Forbidden", _error("InvalidAccessKeyId")),
}
OPERATIONS: Final[Mapping[str, Callable[[StorageDriver], object]]] = {
    "stat": lambda driver: driver.stat("/a/b"),
    "get": lambda driver: driver.get("/a/b", limit=1000),
    "read": lambda driver: list(driver.read("/a/b")),
    "list": lambda driver: driver.list("/a", limit=10),
    "put": lambda driver: driver.put("/a/b", b"x"),
    "create": lambda driver: driver.create("/a/b", b"x"),
    "delete": lambda driver: driver.delete("/a/b"),
    "walk": lambda driver: list(driver.walk("/a")),
    "discard": lambda driver: driver.discard([Found("/a/b", 1, 0.0, "5")]),
    "create_upload": lambda driver: driver.create_upload("/a/b"),
    "upload_size": lambda driver: driver.upload_size("/a/b"),
    "open_upload": lambda driver: driver.open_upload("/a/b"),
    "check": lambda driver: driver.check(),
}
HARMLESS: Final = {
    # What the head says is all that these calls ask for.
    *((name, "a body that is cut short") for name in ("stat", "upload_size", "put", "create", "create_upload")),
    # What is asked for is the time; and what is not deleted is found again.
    ("discard", "a body that is cut short"),
    ("discard", "an empty answer"),
    # Whoever reads compares it with the size that stat() has given.
    ("read", "an empty answer"),
    ("read", "a page of a proxy"),
}
"""What looks like success to some drivers."""


@contextlib.contextmanager
def store(answer: bytes, *, reset: bool = False) -> Iterator[int]:
    """Serve `answer` to every request, and end the connection; `reset` drops what the client has not read yet."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with closing(client), suppress(OSError):
                        client.settimeout(5)
                        while b"\r\n\r\n" not in client.recv(65536):
                            pass
                        client.sendall(answer)
                        if reset:
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _s3(port: int) -> StorageDriver:
    return S3Driver.from_parameters(
        {
            "bucket": "images",
            "region": "us-east-1",
            "regionendpoint": f"http://127.0.0.1:{port}",
            "accesskey": "key",
            "secretkey": "secret",
        }
    )


def _gcs(port: int) -> StorageDriver:
    return GcsDriver.from_parameters({"bucket": "images", "endpoint": f"http://127.0.0.1:{port}"})


def _azure(port: int) -> StorageDriver:
    return AzureDriver.from_parameters(
        {
            "accountname": "account",
            "accountkey": "a2V5",
            "container": "images",
            "serviceurl": f"http://127.0.0.1:{port}/account",
            "max_retries": 1,
        }
    )


@pytest.fixture(params=[_s3, _gcs, _azure], ids=["s3", "gcs", "azure"])
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], StorageDriver]:
    # The SDKs would wait for many seconds between their attempts.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    made: Callable[[int], StorageDriver] = request.param
    return made


def asked_again(driver: StorageDriver) -> None:
    """Have the next call asked of the store, whatever those before have met."""
    assert driver.circuit
    driver.circuit.close()


@pytest.mark.parametrize("fault", PASSING)
def test_a_store_that_answers_badly_is_unavailable_whatever_is_asked(
    connect: Callable[[int], StorageDriver], fault: str
) -> None:
    with store(PASSING[fault]) as port:
        driver = connect(port)
        for name, operation in OPERATIONS.items():
            asked_again(driver)
            if (name, fault) in HARMLESS:
                with suppress(UnavailableError):
                    operation(driver)
                continue
            with pytest.raises(DriverError) as raised:
                operation(driver)
            assert isinstance(raised.value, UnavailableError), (name, raised.value)
            assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("fault", LASTING)
def test_a_store_that_refuses_is_a_failure_that_does_not_pass(
    connect: Callable[[int], StorageDriver], fault: str
) -> None:
    with store(LASTING[fault]) as port:
        driver = connect(port)
        for name, operation in OPERATIONS.items():
            with pytest.raises(NotPermittedError) as raised:
                operation(driver)
            # What an upload or a deletion finds there is read first, in some drivers.
            if name in {"put", "create"} or (name, driver.name) == ("create_upload", "s3aws"):
                assert isinstance(raised.value, NotWritableError), (name, raised.value)
            elif name in {"stat", "get", "read", "list", "walk", "check"}:
                assert not isinstance(raised.value, NotWritableError), (name, raised.value)
            assert len(str(raised.value).splitlines()) == 1
            assert "credentials" in str(raised.value)


def test_a_store_that_resets_connections_is_unavailable(connect: Callable[[int], StorageDriver]) -> None:
    with store(PASSING["a body that is cut short"], reset=True) as port:
        driver = connect(port)
        for operation in (OPERATIONS["get"], OPERATIONS["read"], OPERATIONS["put"]):
            with pytest.raises(UnavailableError):
                operation(driver)


def test_a_store_that_cannot_be_reached_is_unavailable(connect: Callable[[int], StorageDriver]) -> None:
    with store(b"") as port:
        driver = connect(port)
    for operation in OPERATIONS.values():
        asked_again(driver)
        with pytest.raises(UnavailableError) as raised:
            operation(driver)
        assert raised.value.retry_seconds is None


def test_many_objects_are_read_also_where_no_thread_can_be_started(connect: Callable[[int], StorageDriver]) -> None:
    with store(_answer("404 Not Found", _error("NoSuchKey"))) as port:
        driver = connect(port)
        with pytest.raises(PathNotFoundError):  # an SDK imports more at its first answer; the block below may not
            driver.get("/a/b", limit=1)
        with no_more_threads():
            assert list(driver.get_each(["/a/b"] * 20, limit=1)) == [None] * 20


def test_no_thread_asks_a_store_after_the_request(connect: Callable[[int], StorageDriver]) -> None:
    before = set(threading.enumerate())
    with store(PASSING["nothing"]) as port:
        driver = connect(port)
        for name in ("stat", "get", "list"):
            with pytest.raises(DriverError):
                OPERATIONS[name](driver)

    assert not set(threading.enumerate()) - before  # those of earlier tests may end meanwhile


@pytest.mark.parametrize("name", ["get", "read", "list", "put", "create_upload", "open_upload", "walk"])
def test_a_store_that_has_not_answered_is_not_asked_and_it_is_said_for_how_long(
    connect: Callable[[int], StorageDriver], name: str
) -> None:
    with store(b"") as port:
        driver = connect(port)
    for _ in range(5):
        with pytest.raises(UnavailableError) as raised:
            driver.get("/a/b", limit=1)
        assert raised.value.retry_seconds is None
    with pytest.raises(UnavailableError, match="not asked for the next") as raised:
        OPERATIONS[name](driver)
    assert 1 <= (raised.value.retry_seconds or 0) <= 10
    asked_again(driver)
    with pytest.raises(UnavailableError) as raised:
        OPERATIONS[name](driver)
    assert raised.value.retry_seconds is None


def test_what_the_sdk_asks_of_a_store_counts_and_is_not_asked_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with store(b"") as port:
        driver = _s3(port)
    assert isinstance(driver, S3Driver)
    for _ in range(5):
        with pytest.raises(UnavailableError, match="CreateMultipartUpload") as raised:
            driver._bucket.multiparts.begin("a/b")
        assert raised.value.retry_seconds is None
    for ask in (lambda: driver._bucket.multiparts.begin("a/b"), lambda: driver.get("/a/b", limit=1)):
        with pytest.raises(UnavailableError, match="not asked for the next") as raised:
            ask()
        assert raised.value.retry_seconds
