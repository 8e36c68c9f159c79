"""What is ordered for names that clients ask for, and what is not."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from registry.config.values import TLS, LetsEncrypt
from registry.jobs.job import JobFailedError
from registry.server.acme.ondemand import (
    MOST_NAMES,
    MOST_ORDERS,
    NamedCertificates,
    RefusedError,
    can_have,
    obtain,
)
from registry.server.acme.renewal import prepare
from registry.server.acme.store import Attempts, Store
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("registry.server.acme.orders")

NOWHERE = "https://127.0.0.1:1/directory"
NAME = "registry.example.com"


@pytest.fixture
def section(tmp_path: Path) -> TLS:
    return prepare(TLS(letsencrypt=LetsEncrypt(cachefile=str(tmp_path / "acme"), directoryurl=NOWHERE)))


@pytest.fixture
def store(section: TLS) -> Store:
    return Store(section.letsencrypt.cachefile)


@pytest.mark.parametrize("name", [NAME, "a.bc", "xn--bcher-kva.example", "a-b.c1.example", f"{'a' * 63}.example"])
def test_a_full_host_name_can_have_a_certificate(name: str) -> None:
    assert can_have(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "localhost", "registry", "127.0.0.1", "1.2.3.4.5", "::1", "*.example.com", "a_b.example", "-a.example"),
        *("a-.example", ".example", "a..example", "a.example.", "A.example", "../../etc.passwd", "a/b.example"),
        *(f"{'a' * 64}.example", "a." * 130 + "example", "a.example\n", "bücher.example"),
        *("registry.svc.cluster.local", "registry.internal", "1.0.0.127.in-addr.arpa"),
    ],
)
def test_what_is_not_a_full_host_name_cannot(name: str) -> None:
    assert not can_have(name)


def test_a_name_that_has_failed_is_not_ordered_again_before_its_time(section: TLS, store: Store) -> None:
    with pytest.raises(JobFailedError, match=rf"^no certificate for {NAME}, next try in 900 s: "):
        obtain(section.letsencrypt, store, NAME)

    with pytest.raises(RefusedError, match="an order has failed before"):
        obtain(section.letsencrypt, store, NAME)
    assert store.attempts(NAME).failed == 1
    assert len(store.orders()) == 1

    store.write_attempts(Attempts(1, time.time() - 1), NAME)
    with pytest.raises(JobFailedError, match="next try in 1800 s"):
        obtain(section.letsencrypt, store, NAME)


def test_there_is_a_limit_to_the_orders_of_an_hour(section: TLS, store: Store) -> None:
    now = time.time()
    store.write_orders([now - 60] * MOST_ORDERS)
    with pytest.raises(RefusedError, match="in the last hour"):
        obtain(section.letsencrypt, store, NAME)

    store.write_orders([now - 60] * (MOST_ORDERS - 1) + [now - 4000] * 5)
    with pytest.raises(JobFailedError):
        obtain(section.letsencrypt, store, NAME)
    assert len(store.orders()) == MOST_ORDERS


def test_there_is_a_limit_to_the_names_that_have_a_certificate(section: TLS, store: Store) -> None:
    for number in range(MOST_NAMES):
        store.write_certificate(b"", f"h{number}.example.com")

    with pytest.raises(RefusedError, match=f"{MOST_NAMES} names have one"):
        obtain(section.letsencrypt, store, NAME)
    assert obtain(section.letsencrypt, store, "h7.example.com")


def test_what_is_remembered_of_failures_does_not_grow(section: TLS, store: Store, tmp_path: Path) -> None:
    for number in range(300):
        store.write_attempts(Attempts(1, 0), f"h{number}.example.com")
    store.write_certificate(b"", "h0.example.com")

    with pytest.raises(JobFailedError):
        obtain(section.letsencrypt, store, NAME)

    left = {path.stem for path in (tmp_path / "acme" / "names").glob("*.json")}
    assert len(left) <= 202
    assert {"h0.example.com", "h299.example.com", NAME} <= left


def test_one_orders_at_a_time_also_in_one_process(section: TLS, store: Store) -> None:
    with store.locked() as alone:
        assert alone
        assert obtain(section.letsencrypt, Store(section.letsencrypt.cachefile), NAME) is False


def shake_hands(certificates: NamedCertificates, name: str | None) -> bytes:
    """Shake hands with a server that has `certificates`, in a thread as a worker's are; return what it has shown."""
    ours, theirs = socket.socketpair()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def serve() -> None:
        try:
            certificates.current().wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        with context.wrap_socket(ours, server_hostname=name) as client:
            shown = client.getpeercert(binary_form=True)
            assert shown
            return shown
    finally:
        server.join()


def test_a_client_is_shown_the_certificate_for_its_name(section: TLS, store: Store, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    for name in ("a.example.com", "b.example.com"):
        pair = authority.issue(name)
        store.write_certificate(pair.key.read_bytes() + pair.certificate.read_bytes(), name)
    certificates = NamedCertificates(section)
    assert certificates.not_after() is None

    shown = [shake_hands(certificates, name) for name in ("a.example.com", "b.example.com", "A.example.com")]

    assert shown[0] == shown[2] != shown[1]
    # Whoever names no host, or one that nobody can have a certificate for, is shown that there is none.
    assert shake_hands(certificates, None) == shake_hands(certificates, "localhost") not in shown
    assert certificates.not_after() is not None
    assert store.orders() == []


def test_a_client_whose_name_gets_no_certificate_is_told_and_asking_again_orders_nothing(
    section: TLS, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = NamedCertificates(section)

    for _ in range(5):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            shake_hands(certificates, NAME)

    assert len(store.orders()) == 1
    assert len([each for each in caplog.messages if each.startswith(f"no certificate for {NAME}")]) == 1


def test_the_main_thread_of_a_worker_waits_for_no_certificate(section: TLS, store: Store) -> None:
    certificates = NamedCertificates(section)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()

    def connect() -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(ours, server_hostname=NAME)

    client = threading.Thread(target=connect)
    client.start()

    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        certificates.current().wrap_socket(theirs, server_side=True)

    theirs.close()
    client.join()
    ours.close()
    assert store.orders() == []
