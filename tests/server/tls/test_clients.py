from __future__ import annotations

import ssl

import pytest

from registry.config import ConfigurationError
from registry.config.values import TLS
from registry.server.tls import clients
from registry.server.tls.clients import ask_for_certificates
from tests.server.tls.authority import Authority


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    return TLS(clientcas=(str(authority.path),), clientauth="require-any-client-cert")


def test_a_pointer_that_leads_to_another_context_is_never_written_through(
    section: TLS, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, other = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    monkeypatch.setattr(clients, "id", lambda _: id(other), raising=False)

    with pytest.raises(ConfigurationError, match=r"http\.tls\.clientauth: this mode needs a Python whose OpenSSL is"):
        ask_for_certificates(asked, section)

    assert other.verify_mode == ssl.CERT_NONE
    assert asked.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize("constant", [0, 1, 3, -1])
def test_a_mode_that_does_not_follow_what_python_sets_is_no_proof(constant: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    assert not clients._leads_to(context, lambda: constant)
    assert context.verify_mode == ssl.CERT_NONE
