from __future__ import annotations

import os
import ssl
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.foundation.errors import ParameterError
from registry.foundation.http_client import HttpClient, HttpError, Identity
from tests.foundation.http_client.servers import listening, serving
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from tests.server.tls.authority import Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "trusted")


def get(client: HttpClient, url: str) -> int:
    return client.request("GET", url, timeout_seconds=10).status


def test_the_authorities_of_the_file_are_trusted_and_its_comments_passed_over(authority: Authority) -> None:
    authority.path.write_bytes("# \u00c4mter\n".encode() + authority.path.read_bytes())
    with (
        serving(authority.serving_context("server")) as server,
        closing(HttpClient(cafile=str(authority.path))) as client,
    ):
        assert [get(client, f"{server.url}/5") for _ in range(3)] == [200] * 3
        assert len({asked.port for asked in server.asked}) == 1


def test_the_file_takes_the_place_of_the_systems_authorities(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority.create(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with serving(authority.serving_context("server")) as server:
        with closing(HttpClient()) as client:
            assert get(client, f"{server.url}/5") == 200
        with closing(HttpClient(cafile=str(other.path))) as client, pytest.raises(HttpError, match="verify failed"):
            get(client, f"{server.url}/5")


def test_a_certificate_that_is_not_trusted_is_told(authority: Authority, tmp_path: Path) -> None:
    issued = Authority.create(tmp_path / "other").serving_context("server")
    with serving(issued) as server, closing(HttpClient(cafile=str(authority.path))) as client:
        with pytest.raises(HttpError, match=r"^certificate verify failed: .*; its authority is not in /.*/ca\.crt$"):
            get(client, f"{server.url}/5")
        with (
            closing(HttpClient()) as trusting,
            pytest.raises(HttpError, match=r"; its authority is not one of the system's$"),
        ):
            get(trusting, f"{server.url}/5")
        assert server.asked == []


def test_a_certificate_for_another_host_or_one_that_has_expired_is_told(authority: Authority) -> None:
    with closing(HttpClient(cafile=str(authority.path))) as client:
        with serving(authority.serving_context("server"), "::1") as server:
            with pytest.raises(HttpError, match=r"^certificate verify failed: IP address mismatch, .*'::1'$"):
                get(client, f"{server.url}/5")
            assert server.asked == []
        with (
            serving(authority.serving_context("server", expired=True)) as server,
            pytest.raises(HttpError, match=r"^certificate verify failed: certificate has expired$"),
        ):
            get(client, f"{server.url}/5")


def test_tls_to_a_port_without_it_is_told() -> None:
    with closing(HttpClient()) as client:
        with serving() as server, pytest.raises(HttpError, match=r"^it does not speak TLS: is http:// meant\?$"):
            get(client, f"{server.url.replace('http', 'https')}/5")
        with (
            listening(lambda peer, _: peer.sendall(b"220 mail ready\r\n")) as url,
            pytest.raises(HttpError, match="TLS"),
        ):
            get(client, url.replace("http", "https"))


def test_http_to_a_port_with_tls_is_told(authority: Authority) -> None:
    with (
        serving(authority.serving_context("server")) as server,
        closing(HttpClient()) as client,
        pytest.raises(HttpError, match=r"is https:// meant\?$|without an answer$|Connection reset by peer$"),
    ):
        get(client, f"{server.url.replace('https', 'http')}/5")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file or directory"),
        (b"", "it holds no certificate in PEM"),
        (b"nonsense", "it holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it holds no certificate in PEM, or a"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "it holds no certificate in PEM, or a"),
        (b"\x30\x82\x00\x01", "it holds no certificate in PEM"),
    ],
)
def test_a_file_without_authorities_is_refused_in_one_line(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParameterError) as caught:
        HttpClient(cafile=str(path))
    assert str(caught.value).startswith(f"cafile: {path}: {text}")
    assert "\n" not in str(caught.value)
    assert caught.value.path == "cafile"


def test_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ParameterError, match=r"^cafile: "):
            HttpClient(cafile=str(path))


@pytest.mark.parametrize("follow", [10, 0])
def test_a_file_that_changes_is_in_force_at_once_for_connections_that_are_kept_too(
    authority: Authority, tmp_path: Path, follow: int
) -> None:
    other, path = Authority.create(tmp_path / "other"), tmp_path / "ca.pem"
    path.write_bytes(authority.path.read_bytes())
    with (
        serving(authority.serving_context("server")) as server,
        closing(HttpClient(cafile=str(path), follow=follow)) as client,
    ):
        assert get(client, f"{server.url}/5") == 200
        path.write_bytes(other.path.read_bytes())
        with pytest.raises(HttpError, match="certificate verify failed"):
            get(client, f"{server.url}/5")
        path.write_bytes(other.path.read_bytes() + authority.path.read_bytes())
        assert get(client, f"{server.url}/5") == 200
        for broken in (b"nonsense", b""):
            path.write_bytes(broken)
            assert get(client, f"{server.url}/5") == 200
        path.unlink()
        assert get(client, f"{server.url}/5") == 200


def test_the_certificate_that_is_shown_changes_with_its_files(authority: Authority, tmp_path: Path) -> None:
    context = authority.serving_context("server")
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    known, unknown = authority.issue("client"), Authority.create(tmp_path / "other").issue("client")
    shown = Identity(str(tmp_path / "client.crt"), str(tmp_path / "client.key"))

    def show(pair: Pair) -> None:
        Path(shown.certificate).write_bytes(pair.certificate.read_bytes())
        Path(shown.key).write_bytes(pair.key.read_bytes())

    show(known)
    with (
        serving(context) as server,
        closing(HttpClient(cafile=str(authority.path), identity=shown, connections=0)) as client,
    ):
        assert get(client, f"{server.url}/5") == 200
        show(unknown)
        with pytest.raises(HttpError):
            get(client, f"{server.url}/5")
        show(known)
        assert get(client, f"{server.url}/5") == 200
        Path(shown.key).write_bytes(b"broken")
        assert get(client, f"{server.url}/5") == 200


def test_a_certificate_that_is_not_of_its_key_is_refused_in_one_line(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(ParameterError) as caught:
        HttpClient(identity=Identity(str(one.certificate), str(other.key)))
    assert (caught.value.path, "KEY_VALUES_MISMATCH" in str(caught.value)) == ("certificate", True)


def test_who_verifies_nothing_takes_any_certificate(authority: Authority) -> None:
    context = authority.serving_context("server")  # which does not name this address
    with serving(context, host="::1") as server, closing(HttpClient(verify=False)) as client:
        assert get(client, f"{server.url}/5") == 200
