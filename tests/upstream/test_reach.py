"""Where requests may go, by which way, and what they say of themselves."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import Network, UpstreamAuth, UpstreamTLS
from registry.foundation.errors import ParameterError
from registry.oci.errors import UpstreamError, UpstreamFailedError, UpstreamSilentError
from tests.server.tls.authority import Authority
from tests.upstream.content import CONTENT, LATEST, NAME, failing, image, there
from tests.upstreams import faults, registry

if TYPE_CHECKING:
    from pathlib import Path

    from registry.upstream.client import Upstream
    from tests.upstream.conftest import Connect
    from tests.upstreams import Registry


def test_redirects_are_followed_five_times(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    for times, follows in ((5, True), (6, False)):
        remote.misbehave(faults.elsewhere(""), times=times)
        if follows:
            assert upstream.find(NAME, LATEST) == digest
        else:
            with failing(UpstreamFailedError, "redirects$"):
                upstream.find(NAME, LATEST)


def test_a_part_is_asked_for_where_a_redirect_leads_to_as_well(
    upstream: Upstream, remote: Registry, other: Registry
) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    other.put_blob(NAME, CONTENT)
    remote.misbehave(faults.elsewhere(other.url))
    with there(upstream.blob(NAME, digest, 100, 300)) as stream:
        assert (stream.start, b"".join(stream)) == (100, CONTENT[100:300])
    assert other.asked[0].headers["range"] == "bytes=100-299"


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/", "http://[::1", "http://127.0.0.1:1/"])
def test_a_redirect_to_where_nothing_is_fails(upstream: Upstream, remote: Registry, to: str) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.redirect(to))
    with failing(UpstreamError, "redirect"):
        upstream.blob(NAME, digest)


@pytest.mark.parametrize("network", [Network(), Network(private="allow"), Network(private="deny")])
@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:169.254.169.254]"])
def test_no_redirect_leads_to_an_address_of_metadata(
    remote: Registry, connect: Connect, host: str, network: Network
) -> None:
    upstream = connect(remote, network=network)
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.redirect(f"http://{host}/latest/meta-data/"))
    with failing(UpstreamFailedError, "which is not followed"):
        upstream.blob(NAME, digest)


def test_no_redirect_leads_to_a_private_address_if_that_is_denied(remote: Registry, connect: Connect) -> None:
    upstream = connect(remote, network=Network(private="deny"))
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.redirect("http://10.0.0.1:1/"))
    with failing(UpstreamFailedError, "a private address, which is not followed"):
        upstream.blob(NAME, digest)


def test_a_name_that_leads_to_an_address_of_metadata_is_not_asked(
    remote: Registry, connect: Connect, names: dict[str, list[str]]
) -> None:
    names["rebound.example"] = ["169.254.169.254"]
    remote.url = "http://rebound.example"
    with failing(UpstreamFailedError, r"it is at 169\.254\.169\.254, a link-local address"):
        connect(remote).find(NAME, LATEST)


@pytest.mark.parametrize(
    ("address", "network", "kind"),
    [("169.254.169.254", Network(), "link-local"), ("10.0.0.1", Network(private="deny"), "private")],
)
def test_a_token_service_whose_name_leads_where_only_this_side_may_go_is_not_asked(
    remote: Registry, connect: Connect, names: dict[str, list[str]], address: str, network: Network, kind: str
) -> None:
    names.update({"auth.hub.example": [address], "registry.hub.example": ["127.0.0.1"]})
    remote.url = remote.url.replace("127.0.0.1", "registry.hub.example")
    remote.login, remote.realm = ("user", "word"), "http://auth.hub.example/token"
    upstream = connect(remote, network=network, auth=UpstreamAuth(username="user", password="word"))
    with failing(UpstreamFailedError, rf"^it is at {address}, a {kind} address"):
        upstream.find(NAME, LATEST)


def test_a_token_service_of_the_same_domain_is_asked(
    remote: Registry, other: Registry, connect: Connect, names: dict[str, list[str]]
) -> None:
    names.update({"auth.hub.example": ["127.0.0.1"], "registry.hub.example": ["127.0.0.1"]})
    remote.put_manifest(NAME, image(), "latest")
    remote.login, remote.realm = ("user", "word"), other.token_url.replace("127.0.0.1", "auth.hub.example")
    other.login, other.tokens = remote.login, remote.tokens
    remote.url = remote.url.replace("127.0.0.1", "registry.hub.example")
    assert connect(remote, auth=UpstreamAuth(username="user", password="word")).find(NAME, LATEST)
    assert len(other.asked) == 1


def test_addresses_are_tried_in_turn_and_the_family_that_worked_comes_first(
    connect: Connect, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(host="::1") as six:
        six.put_manifest(NAME, image(), "latest")
        names["both.example"] = ["127.0.0.1", "::1"]
        six.url = six.url.replace("[::1]", "both.example")
        upstream = connect(six)
        dialled: list[str] = []
        real = socket.socket.connect

        def connecting(self: socket.socket, address: tuple[str, int]) -> None:
            dialled.append(address[0])
            real(self, address)

        monkeypatch.setattr(socket.socket, "connect", connecting)
        for _ in range(3):
            assert upstream.find(NAME, LATEST)
            six.misbehave(faults.reset(), times=1)  # of a connection that was kept: another is made
        assert dialled == ["127.0.0.1", "::1", "::1", "::1"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority")


def secured(context: ssl.SSLContext, connect: Connect, **settings: object) -> None:
    """Ask for a tag over TLS."""
    with registry(context) as served:
        served.put_manifest(NAME, image(), "latest")
        assert connect(served, **settings).find(NAME, LATEST)


def test_a_certificate_is_shown_to_no_other_server(authority: Authority, connect: Connect) -> None:
    strict, pair = authority.serving_context("strict"), authority.issue("client")
    strict.load_verify_locations(authority.path)
    strict.verify_mode = ssl.CERT_REQUIRED
    tls = UpstreamTLS(ca=str(authority.path), certificate=str(pair.certificate), key=str(pair.key))
    with registry(authority.serving_context("server")) as own, registry(strict) as elsewhere:
        digest = own.put_blob(NAME, CONTENT)
        elsewhere.put_blob(NAME, CONTENT)
        own.misbehave(faults.elsewhere(elsewhere.url))
        with pytest.raises(UpstreamError):
            connect(own, tls=tls).blob(NAME, digest)
        assert elsewhere.asked == []
        with there(connect(elsewhere, tls=tls).blob(NAME, digest)) as stream:
            assert b"".join(stream) == CONTENT


def test_an_authority_of_its_own_is_trusted(authority: Authority, connect: Connect) -> None:
    secured(authority.serving_context("server"), connect, tls=UpstreamTLS(ca=str(authority.path)))


def test_an_unknown_authority_is_trusted_only_where_nothing_is_verified(authority: Authority, connect: Connect) -> None:
    with failing(UpstreamFailedError, "certificate verify failed"):
        secured(authority.serving_context("server"), connect)
    secured(authority.serving_context("server"), connect, tls=UpstreamTLS(insecureskipverify=True))


def test_a_certificate_is_shown_to_who_asks_for_it(authority: Authority, connect: Connect) -> None:
    context, pair = authority.serving_context("server"), authority.issue("client")
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = UpstreamTLS(ca=str(authority.path), certificate=str(pair.certificate), key=str(pair.key))
    secured(context, connect, tls=tls)
    with pytest.raises(UpstreamError):
        secured(context, connect, tls=UpstreamTLS(ca=str(authority.path)))


@pytest.mark.parametrize("tls", [UpstreamTLS(ca="/missing"), UpstreamTLS(certificate="/missing", key="/missing")])
def test_files_that_are_not_there_stop_the_start(remote: Registry, connect: Connect, tls: UpstreamTLS) -> None:
    with pytest.raises(ParameterError, match="missing") as caught:
        connect(remote, tls=tls)
    assert caught.value.path in {"cafile", "certificate"}


def test_no_redirect_leads_from_https_to_http(authority: Authority, connect: Connect, other: Registry) -> None:
    with registry(authority.serving_context("server")) as served:
        digest = served.put_blob(NAME, CONTENT)
        served.misbehave(faults.elsewhere(other.url))
        with failing(UpstreamFailedError, "it redirects from https to http"):
            connect(served, tls=UpstreamTLS(ca=str(authority.path))).blob(NAME, digest)
    assert other.asked == []


def test_a_token_service_of_an_https_registry_is_not_asked_by_http(
    authority: Authority, connect: Connect, other: Registry
) -> None:
    with registry(authority.serving_context("server")) as served:
        served.login, served.realm = ("user", "word"), other.token_url
        auth = UpstreamAuth(username="user", password="word", realms=(other.host,))
        with pytest.raises(UpstreamError):
            connect(served, tls=UpstreamTLS(ca=str(authority.path)), auth=auth).find(NAME, LATEST)
    assert other.asked == []


def test_a_proxy_that_is_configured_is_used_even_for_this_machine(
    remote: Registry, other: Registry, connect: Connect
) -> None:
    # A request by way of a proxy names the whole URL; the other registry, which is asked as one, tells it.
    upstream = connect(remote, network=Network(httpproxy=other.url))
    upstream.find(NAME, LATEST)
    assert len(remote.asked) == 0
    assert [each.headers["host"] for each in other.asked] == [remote.host]


def test_the_environment_names_a_proxy_unless_there_is_to_be_none(
    remote: Registry, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    remote.url = "http://registry.invalid"
    with failing(UpstreamSilentError, r"by the proxy 127\.0\.0\.1:1"):
        connect(remote).find(NAME, LATEST)
    with failing(UpstreamSilentError, r"the address of registry\.invalid is not found"):
        connect(remote, network=Network(httpproxy="none")).find(NAME, LATEST)


@pytest.mark.parametrize(
    ("own", "came", "sent"),
    [
        ("cache.example", "", "1.1 cache.example"),
        ("cache.example", "1.1 edge", "1.1 edge, 1.1 cache.example"),
        ("", "1.1 edge", "1.1 edge"),
        ("", "", ""),
    ],
)
def test_every_request_says_by_whom_it_came(remote: Registry, connect: Connect, own: str, came: str, sent: str) -> None:
    upstream, digest = connect(remote, via=own), remote.put_blob(NAME, CONTENT)
    upstream.find(NAME, LATEST, via=came)
    upstream.manifest(NAME, LATEST, via=came)
    upstream.blob_size(NAME, digest, via=came)
    with there(upstream.blob(NAME, digest, via=came)):
        pass
    upstream.tags(NAME, after="", limit=1, via=came)
    upstream.referrers(NAME, digest, via=came)
    assert [each.headers.get("via", "") for each in remote.asked] == [sent] * 6
