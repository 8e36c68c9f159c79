from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from registry.config.values import TLS
from registry.server.tls.certificates import Certificates
from tests.server.tls.authority import Authority, Pair, of_version_5
from tests.server.tls.handshake import shake_hands

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority")


@pytest.fixture
def live(tmp_path: Path, authority: Authority) -> Pair:
    """The files that the registry watches."""
    pair = Pair(tmp_path / "live.crt", tmp_path / "live.key")
    install(authority.issue("first"), pair)
    return pair


@pytest.fixture
def certificates(live: Pair) -> Certificates:
    return Certificates(TLS(certificate=str(live.certificate), key=str(live.key)))


def install(source: Pair, target: Pair) -> None:
    shutil.copy(source.certificate, target.certificate)
    shutil.copy(source.key, target.key)


def served(certificates: Certificates, authority: Authority) -> str:
    peer: Any = shake_hands(certificates.current(), authority.trusting_client()).getpeercert()
    names = {key: value for ((key, value),) in peer["subject"]}
    return str(names["commonName"])


def test_a_new_certificate_is_served_once_its_key_is_there_too(
    certificates: Certificates, authority: Authority, live: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    second = authority.issue("second")
    shutil.copy(second.certificate, live.certificate)
    assert served(certificates, authority) == "first"
    assert served(certificates, authority) == "first"
    assert caplog.text.count("the old certificate stays in use") == 1

    shutil.copy(second.key, live.key)
    assert served(certificates, authority) == "second"


def test_nothing_is_read_again_while_nothing_changes(certificates: Certificates) -> None:
    assert certificates.current() is certificates.current()


@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_a_file_that_cannot_be_used_leaves_the_old_certificate(
    certificates: Certificates,
    authority: Authority,
    live: Pair,
    caplog: pytest.LogCaptureFixture,
    content: bytes | None,
) -> None:
    if content is None:
        live.certificate.unlink()
    else:
        live.certificate.write_bytes(content)
    assert served(certificates, authority) == "first"
    assert "the old certificate stays in use: http.tls.certificate: " in caplog.text

    install(authority.issue("second"), live)
    assert served(certificates, authority) == "second"


def test_files_behind_a_link_that_is_turned_are_picked_up(authority: Authority, tmp_path: Path) -> None:
    """Kubernetes and certbot replace certificates so."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        install(authority.issue(name), Pair(tmp_path / name / "tls.crt", tmp_path / name / "tls.key"))
    (tmp_path / "data").symlink_to("first")
    section = TLS(certificate=str(tmp_path / "data/tls.crt"), key=str(tmp_path / "data/tls.key"))
    certificates = Certificates(section)
    assert served(certificates, authority) == "first"

    (tmp_path / "new").symlink_to("second")
    (tmp_path / "new").replace(tmp_path / "data")
    assert served(certificates, authority) == "second"


def test_authorities_of_clients_are_picked_up(live: Pair, authority: Authority, tmp_path: Path) -> None:
    others = Authority.create(tmp_path / "others")
    accepted = tmp_path / "accepted.crt"
    shutil.copy(others.path, accepted)
    section = TLS(certificate=str(live.certificate), key=str(live.key), clientcas=(str(accepted),))
    certificates = Certificates(section)
    client = authority.trusting_client(authority.issue("client"))
    with pytest.raises(OSError, match="certificate"):
        shake_hands(certificates.current(), client)

    shutil.copy(authority.path, accepted)
    shake_hands(certificates.current(), client)


def test_threads_that_connect_during_a_change_all_get_a_certificate(
    certificates: Certificates, authority: Authority, live: Pair
) -> None:
    pairs = [authority.issue(f"number-{number}") for number in range(4)]

    def connect(_: int) -> str:
        return served(certificates, authority)

    with ThreadPoolExecutor(4) as pool:
        connected = pool.map(connect, range(100))
        for pair in pairs:
            install(pair, live)
        assert set(connected) <= {"first", *(f"number-{number}" for number in range(4))}
    assert served(certificates, authority) == "number-3"


def test_a_certificate_that_ends_soon_is_a_warning(
    authority: Authority, live: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    install(authority.issue("short", not_after=datetime.now(UTC) + timedelta(days=3)), live)
    Certificates(TLS(certificate=str(live.certificate), key=str(live.key)))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"using the certificate {live.certificate}, good until ")
    assert os.fspath(live.key) not in caplog.text


def test_a_certificate_whose_end_cannot_be_read_is_served_with_a_warning(
    authority: Authority, live: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    live.certificate.write_bytes(of_version_5(live.certificate.read_bytes()))
    certificates = Certificates(TLS(certificate=str(live.certificate), key=str(live.key)))
    assert certificates.not_after() is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"using the certificate {live.certificate}, good until an unknown date: ")
    before = certificates.current()

    install(authority.issue("second"), live)
    assert certificates.not_after() is not None
    assert certificates.current() is not before


def test_a_new_certificate_whose_end_cannot_be_read_does_no_harm(certificates: Certificates, live: Pair) -> None:
    before = certificates.current()
    live.certificate.write_bytes(of_version_5(live.certificate.read_bytes()))
    assert certificates.not_after() is None
    assert certificates.current() is not before


def test_key_certificate_and_chain_may_be_one_file(tmp_path: Path) -> None:
    end = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    root = Authority.create(tmp_path / "root")
    pair = Authority.create(tmp_path / "intermediate", root).issue("one", not_after=end)
    combined = tmp_path / "combined.pem"
    combined.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
    certificates = Certificates(TLS(certificate=str(combined), key=str(combined)))
    assert certificates.not_after() == end
    assert served(certificates, root) == "one"
