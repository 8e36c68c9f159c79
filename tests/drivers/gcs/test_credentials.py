"""The tokens with which the service is asked, from servers that answer well, late or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from drivers.base import NotPermittedError, UnavailableError

pytest.importorskip("google.cloud.storage", reason="the gcs extra is not installed")

from drivers.gcs import credentials
from drivers.gcs.driver import GcsDriver
from tests.drivers.gcs.server import key_of_account
from tests.drivers.proxy import Answer, Proxy
from tests.drivers.proxy import serving as serving_proxy
from tests.server.tls.authority import Authority
from tests.serving import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3600


@dataclass
class Google:
    """Gives tokens that last `lifetime_seconds`, or the status `failing`; its store holds `content` for all objects.

    Calls with a token of `refused` are 401. `busy` calls are 503 first.
    """

    url: str = ""
    lifetime_seconds: float = HOUR
    failing: int = 0
    refused: set[str] = field(default_factory=set)
    busy: int = 0
    tokens: int = 0
    content: bytes = b"content"
    asked: list[str | None] = field(default_factory=list)

    def driver(self) -> GcsDriver:
        key = key_of_account(f"{self.url}/token")
        return GcsDriver.from_parameters({"bucket": "images", "endpoint": self.url, "credentials": key})

    def token(self) -> tuple[int, dict[str, str], bytes]:
        self.tokens += 1
        if self.failing:
            return self.failing, {}, b'{"error": "no"}'
        token = {"access_token": f"token{self.tokens}", "expires_in": self.lifetime_seconds, "token_type": "Bearer"}
        return 200, {"Content-Type": "application/json"}, json.dumps(token).encode()

    def object(self, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(authorization)
        if (authorization or "").removeprefix("Bearer ") in self.refused:
            return 401, {}, b'{"error": {"message": "Invalid Credentials"}}'
        if self.busy:
            self.busy -= 1
            return 503, {"Retry-After": "0"}, b""
        return 200, {"X-Goog-Generation": "7"}, self.content


@pytest.fixture
def google() -> Iterator[Google]:
    with serving(Google()) as started:
        yield started


@contextmanager
def serving(google: Google, context: ssl.SSLContext | None = None) -> Iterator[Google]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            is_token = self.path == "/token"
            status, headers, body = google.token() if is_token else google.object(self.headers["Authorization"])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  the base class looks for these names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        google.url = f"http://127.0.0.1:{server.server_port}"
        yield google
        server.shutdown()


def get(driver: GcsDriver) -> bytes:
    return driver.get("/a/b", limit=1000)


def test_a_token_is_asked_for_once_and_sent_with_each_call(google: Google) -> None:
    driver = google.driver()
    assert [get(driver) for _ in range(3)] == [b"content"] * 3
    assert (google.tokens, google.asked) == (1, ["Bearer token1"] * 3)


def test_an_endpoint_without_a_key_is_asked_without_a_token(google: Google) -> None:
    driver = GcsDriver.from_parameters({"bucket": "images", "endpoint": google.url})
    assert get(driver) == b"content"
    assert (google.tokens, google.asked) == (0, [None])


def test_the_variable_of_emulators_names_an_endpoint(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url.removeprefix("http://"))
    assert get(GcsDriver.from_parameters({"bucket": "images"})) == b"content"
    assert google.asked == [None]


def test_a_token_that_is_refused_is_replaced_and_the_call_made_again(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_PAUSE_SECONDS", 0)  # or a token that was just given would not be replaced
    driver = google.driver()
    get(driver)
    google.refused.add("token1")
    assert get(driver) == b"content"
    assert google.asked == ["Bearer token1"] * 2 + ["Bearer token2"]


def test_an_account_that_is_refused_is_not_asked_for_tokens_all_the_time(google: Google) -> None:
    driver = google.driver()
    google.refused |= {f"token{number}" for number in range(100)}
    for _ in range(5):
        with pytest.raises(NotPermittedError, match=r"^gcs: get .*/?a/b: 401 Invalid Credentials; check what "):
            get(driver)
    assert (google.tokens, len(google.asked)) == (1, 5)


def test_a_token_that_ends_soon_is_replaced(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_PAUSE_SECONDS", 0)
    google.lifetime_seconds = credentials._BEFORE_END_SECONDS - 5
    driver = google.driver()
    get(driver)
    get(driver)
    assert google.asked == ["Bearer token1", "Bearer token2"]


def test_a_token_that_ends_soon_is_used_while_there_is_no_other(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.lifetime_seconds = credentials._BEFORE_END_SECONDS - 5
    with monkeypatch.context() as patched:
        patched.setattr(credentials, "_PAUSE_SECONDS", 0)
        driver = google.driver()
        get(driver)
    google.failing = 400
    assert [get(driver) for _ in range(3)] == [b"content"] * 3
    assert (google.tokens, google.asked) == (2, ["Bearer token1"] * 4)


@pytest.mark.parametrize(("status", "word"), [(400, NotPermittedError), (500, UnavailableError)])
def test_without_a_token_the_store_is_not_asked(
    google: Google, status: int, word: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # google.auth waits between its attempts
    google.failing = status
    driver = google.driver()
    with pytest.raises(word, match=r"^gcs: get [^\n]*$"):
        get(driver)
    assert not google.asked


def test_tokens_of_a_server_that_is_not_there_are_waited_for_by_clients(google: Google) -> None:
    key = key_of_account("http://127.0.0.1:1/token")
    driver = GcsDriver.from_parameters({"bucket": "images", "endpoint": google.url, "credentials": key})
    with pytest.raises(UnavailableError, match=r"^gcs: get [^\n]*Connection refused[^\n]*$"):
        get(driver)


def test_a_store_that_is_busy_is_asked_again_when_it_says(google: Google) -> None:
    google.busy = 2
    assert get(google.driver()) == b"content"
    assert len(google.asked) == 3


def test_what_is_not_the_range_that_was_asked_for_is_not_given_out(google: Google) -> None:
    driver = google.driver()
    with pytest.raises(UnavailableError, match="a range was asked for, and something else came"):
        driver.read("/a/b", 3)
    assert b"".join(driver.read("/a/b")) == b"content"


# Whose certificates are taken


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_authorities_that_the_environment_names_are_trusted(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
    authority = Authority.create(tmp_path)
    with serving(google := Google(), authority.serving_context("store")):
        google.url = google.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(UnavailableError, match="certificate verify failed"):
            get(google.driver())
        monkeypatch.setenv(variable, str(authority.path))
        assert get(google.driver()) == b"content"
    assert len(google.asked) == 1


class Metadata(Proxy):
    """A server of metadata that knows nothing but the project."""

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        del method, headers, body
        known = target == "/" or target.endswith("/project-id")
        return Answer(200 if known else 503, [("Metadata-Flavor", "Google"), ("Content-Type", "text/plain")], b"test")


_AT_A_MACHINE = """
import sys, time
time.sleep = lambda _: None  # google.auth waits between its attempts
from drivers.gcs.driver import GcsDriver
from registry.foundation.errors import ParameterError
try:
    GcsDriver.from_parameters({"bucket": "images"})
except ParameterError as error:
    print(error)
"""


def test_a_metadata_server_that_is_out_of_order_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with serving_proxy(Metadata(free_port(), "")) as server:
        host = f"127.0.0.1:{server.server_port}"
        names = ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT")
        nowhere = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
        environment = {**os.environ, **dict.fromkeys(names, host), **nowhere}
        environment.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
        run = [sys.executable, "-c", _AT_A_MACHINE]
        said = subprocess.run(run, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout

    assert said.startswith("keyfile: is not given, and there are no default credentials: ")
    assert "universe-domain" in said
    assert said.count("\n") == 1
