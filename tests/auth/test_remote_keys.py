"""An identity provider that is slow, down or hostile holds up nobody who does not need it."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from auth.identities.workload import parse_ci_services
from auth.tokens.keysets import REFRESH_SECONDS, RETRY_SECONDS, RemoteKeys, fetched
from tests.auth.issuing import jwk
from tests.foundation.test_fetching import dripping, serving

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = json.dumps({"keys": [jwk(KEY, kid="known")]}).encode()
ADDRESS = "https://idp.example/keys"
PATIENT_SECONDS = 8
"""Less than a fetch that hangs would be waited for, far more than a busy machine needs for nothing."""


class Provider:
    """Answers when it is let; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self.answers.set()
        self.failure: Exception | None = None
        self.now = 0.0

    def fetch(self, _address: str) -> bytes:
        self.asked += 1
        self.answers.wait(60)
        if self.failure:
            raise self.failure
        return KEYS

    def keys(self) -> RemoteKeys:
        return RemoteKeys(lambda: ADDRESS, self.fetch, lambda: self.now)


def seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_many_unknown_keys_at_once_are_one_fetch_and_known_ones_do_not_wait_for_it() -> None:
    provider = Provider()
    keys = provider.keys()
    assert keys.find("known")
    provider.now += RETRY_SECONDS
    provider.answers.clear()

    with ThreadPoolExecutor(40) as pool:
        strangers = [pool.submit(keys.find, f"unknown-{n}") for n in range(40)]
        while provider.asked < 2:
            time.sleep(0.01)
        assert seconds(lambda: [keys.find("known") for _ in range(100)]) < PATIENT_SECONDS
        provider.answers.set()
        assert not any(stranger.result(60) for stranger in strangers)

    assert provider.asked == 2
    assert not any(keys.find(f"more-{n}") for n in range(100))
    assert provider.asked == 2


def test_while_a_provider_hangs_known_keys_serve_also_past_their_refresh() -> None:
    provider = Provider()
    keys = provider.keys()
    assert keys.find("known")
    provider.now += REFRESH_SECONDS + 1
    provider.answers.clear()
    assert seconds(lambda: [keys.find("known") for _ in range(100)]) < PATIENT_SECONDS
    assert provider.asked == 2
    provider.answers.set()


def test_nobody_waits_long_for_a_provider_that_has_failed() -> None:
    provider = Provider()
    provider.failure = OSError("down")
    keys = provider.keys()
    assert not keys.find("known")
    provider.answers.clear()
    for _ in range(3):
        provider.now += RETRY_SECONDS
        assert seconds(lambda: keys.find("known")) < PATIENT_SECONDS
    assert provider.asked == 2
    provider.failure = None
    provider.answers.set()
    deadline = time.monotonic() + 60
    while not keys.find("known"):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("document", [b"[" * 100_000, b"null", b'{"jwks_uri": 1}', b"x" * 2_000_000])
def test_a_provider_that_answers_nonsense_only_fails(document: bytes, caplog: pytest.LogCaptureFixture) -> None:
    rules = [{"user": "ci", "claims": {"sub": "*"}}]
    section = [{"issuer": "https://idp.example", "audience": "a", "rules": rules}]
    service = parse_ci_services(section, fetch=lambda _: document).of(UNSIGNED)
    assert service
    assert service.user_of(UNSIGNED) is None
    assert "cannot fetch signing keys" in caplog.text


UNSIGNED = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIn0.AAAA"
"""Says that ES256 signed it with the key "k", and that it is from https://idp.example."""


def test_keys_that_come_byte_by_byte_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.tokens.keysets._TIMEOUT_SECONDS", 0.5)
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n" + KEYS) as url, pytest.raises(OSError, match="timed out"):
        fetched(url)


def test_a_provider_may_not_send_elsewhere_for_its_keys_nor_send_too_much() -> None:
    with serving() as server, serving() as internal:
        server.moved = {"/keys": f"{internal.url}/5"}
        with pytest.raises(OSError, match="redirects"):
            fetched(f"{server.url}/keys")
        with pytest.raises(OSError, match="more than 1048576 bytes"):
            fetched(f"{server.url}/{2 * 1024 * 1024}")
        assert internal.asked == []


def test_the_line_about_a_failure_holds_no_secret_of_the_address(caplog: pytest.LogCaptureFixture) -> None:
    address = "http://user:hunter2@127.0.0.1:1/keys?code=hunter2"
    assert not RemoteKeys(lambda: address).find("known")
    assert "http://...@127.0.0.1:1/keys?code=...: " in caplog.text
    assert "hunter2" not in caplog.text
