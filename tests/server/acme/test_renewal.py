from __future__ import annotations

import http.client
import socket
import stat
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from registry.config import ConfigurationError
from registry.config.values import TLS, LetsEncrypt
from registry.jobs.job import JobFailedError
from registry.server.acme.renewal import jobs, prepare, renew_if_due
from registry.server.acme.store import Attempts, Store
from tests.foundation.syncing import Syncs
from tests.server.tls.authority import NAMES, Authority

if TYPE_CHECKING:
    from pathlib import Path

orders = pytest.importorskip("registry.server.acme.orders")

NOWHERE = "https://127.0.0.1:1/directory"
QUARTER = 15 * 60


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "acme"))
    made.create()
    return made


@pytest.fixture
def section(tmp_path: Path) -> LetsEncrypt:
    return LetsEncrypt(cachefile=str(tmp_path / "acme"), hosts=("registry.example.com",), directoryurl=NOWHERE)


def test_there_is_a_certificate_from_the_start_and_it_is_due_at_once(section: LetsEncrypt) -> None:
    prepared = prepare(TLS(letsencrypt=section))
    assert prepared.certificate == prepared.key
    pem = Store(section.cachefile).certificate.read_bytes()
    assert orders.due(pem, section.hosts) < datetime.now(UTC)


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (TLS(certificate="/c", letsencrypt=LetsEncrypt(cachefile="/x", hosts=("h",))), "cachefile: http.tls.cert"),
        (
            TLS(letsencrypt=LetsEncrypt(cachefile="/x", hosts=("h",), httpaddr="80")),
            "httpaddr: '80' is not a HOST:PORT to listen on: ",
        ),
        (TLS(letsencrypt=LetsEncrypt(cachefile="/proc/x", hosts=("h",))), "cachefile: /proc/x: "),
    ],
)
def test_what_cannot_be_had_stops_the_start(tls: TLS, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        prepare(tls)
    assert str(caught.value).startswith(f"http.tls.letsencrypt.{message}")


def test_what_is_kept_survives_a_loss_of_power(store: Store) -> None:
    account = store.certificate.with_name("account.key")
    store.write_account_key(b"old")

    with Syncs(account) as syncs:
        store.write_account_key(b"new")

    assert syncs.seen == [("file", b"old"), ("directory", b"new")]
    assert account.stat().st_mode & 0o077 == 0


def test_keys_are_written_for_the_registry_alone_whatever_was_there(store: Store, tmp_path: Path) -> None:
    store.certificate.write_bytes(b"old")
    store.certificate.chmod(0o644)
    outside, account = tmp_path / "outside.key", store.certificate.with_name("account.key")
    outside.write_bytes(b"old")
    outside.chmod(0o644)
    account.symlink_to(outside)

    store.write_certificate(b"new")
    store.write_account_key(b"new")

    for path in (store.certificate, account):
        assert (path.read_bytes(), path.lstat().st_mode) == (b"new", stat.S_IFREG | 0o600)
    assert outside.read_bytes() == b"old"


def test_a_certificate_is_due_with_a_third_of_its_life_left_and_for_other_hosts(tmp_path: Path) -> None:
    end = datetime.now(UTC) + timedelta(days=30)
    pem = Authority.create(tmp_path).issue("one", not_after=end).certificate.read_bytes()
    dns = [name for name in NAMES if name != "127.0.0.1"]
    assert orders.due(pem, dns) < end
    assert orders.due(pem, ["other.example.com"]) < datetime.now(UTC)


def fail_to_renew(section: LetsEncrypt, store: Store, seconds: int) -> None:
    """Have an order fail, which must not be tried again within `seconds`; that it is over is looked for each hour."""
    message = rf"no certificate for registry\.example\.com, next try in {seconds} s: "
    with pytest.raises(JobFailedError, match=message) as failed:
        renew_if_due(section, store)
    assert failed.value.pause_seconds == min(seconds, 3600)
    assert store.attempts().not_before == pytest.approx(time.time() + seconds, abs=60)


def test_failed_orders_wait_longer_each_time_and_across_restarts(section: LetsEncrypt, store: Store) -> None:
    prepare(TLS(letsencrypt=section))
    fail_to_renew(section, store, QUARTER)
    assert store.attempts().failed == 1
    assert 0 < renew_if_due(section, Store(section.cachefile)) <= QUARTER
    assert store.attempts().failed == 1, "no second order before its time"

    store.write_attempts(Attempts(failed=1, not_before=time.time() - 1))
    fail_to_renew(section, store, 2 * QUARTER)
    store.write_attempts(Attempts(failed=20, not_before=time.time() - 1))
    fail_to_renew(section, store, 24 * 3600)


def test_a_certificate_that_is_good_is_left_alone(section: LetsEncrypt, store: Store, tmp_path: Path) -> None:
    pair = Authority.create(tmp_path / "ca").issue("one", not_after=datetime.now(UTC) + timedelta(days=365_000))
    store.write_certificate(pair.key.read_bytes() + pair.certificate.read_bytes())
    names = LetsEncrypt(cachefile=section.cachefile, hosts=tuple(n for n in NAMES if n != "127.0.0.1"))
    assert renew_if_due(names, store) > QUARTER
    assert store.attempts() == Attempts()


def test_a_challenge_is_answered_while_it_lasts_and_only_by_its_token(store: Store) -> None:
    with store.answering("a-token", b"validation"):
        assert store.challenge("a-token") == b"validation"
        assert store.challenge("../challenge-a-token") is None
    assert store.challenge("a-token") is None


def test_an_address_that_is_taken_fails_the_run_before_anything_is_ordered_and_the_next_one_tries_again(
    section: LetsEncrypt, store: Store
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked = replace(section, httpaddr=f"127.0.0.1:{port}")
        prepare(TLS(letsencrypt=asked))
        (job,) = jobs(asked)
        with pytest.raises(JobFailedError, match=r"httpaddr: 127\.0\.0\.1:\d+ cannot be listened on: .*in use"):
            job.run()
        assert store.attempts() == Attempts()

    with pytest.raises(JobFailedError, match=r"no certificate for registry\.example\.com"):
        job.run()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    assert connection.getresponse().status == 404
    connection.close()
