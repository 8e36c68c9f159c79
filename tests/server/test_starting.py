"""What is tried before a server listens, for the server and for those who only want to know whether it would start."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from registry.config import ConfigurationError, load
from registry.plugins import PluginError
from registry.server.acme.store import Attempts, Store
from registry.server.starting import Prepared, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from registry.config import Configuration


def configured(directory: Path, **variables: str) -> Configuration:
    path = directory / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}/root}}}}\n")
    return load(str(path), {f"REGISTRY_{name.upper()}": value for name, value in variables.items()})


def test_it_listens_nowhere_so_a_server_may_be_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        api, debug = (f"127.0.0.1:{each.getsockname()[1]}" for each in (taken, other))
        configuration = configured(tmp_path, http_addr=api, http_debug_addr=debug)

        assert prepare(configuration) == Prepared(configuration)


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({"http_addr": "127.0.0.1:99999"}, "http.addr"),
        ({"http_debug_addr": "abc"}, "http.debug.addr"),
        ({"http_tls_key": "/nowhere"}, "http.tls.certificate"),
        ({"storage_filesystem_rootdirectory": "/dev/null/x"}, "storage.filesystem"),
        ({"auth": "htpasswd"}, "auth.htpasswd"),
        ({"proxies": "[{name: a, remoteurl: 'https://a', tls: {ca: /nowhere}}]"}, "proxies[0].tls.ca"),
    ],
)
def test_what_would_stop_a_server_is_named_by_its_key(tmp_path: Path, variables: dict[str, str], key: str) -> None:
    with pytest.raises((ConfigurationError, PluginError)) as raised:
        prepare(configured(tmp_path, **variables))

    assert str(raised.value).startswith(key)


def test_an_upstream_that_is_down_does_not_stop_a_server(tmp_path: Path) -> None:
    prepare(configured(tmp_path, proxy_remoteurl="http://127.0.0.1:1"))
    prepare(configured(tmp_path, proxies="[{name: a, remoteurl: 'https://name.invalid'}]"))


def test_it_does_not_wait_for_a_storage_unless_it_is_told_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("boto3", reason="the s3 extra is not installed")
    (tmp_path / "config.yml").write_text(
        "version: 0.1\nstorage: {starttimeout: 1h, s3: {bucket: images, region: r, accesskey: a, secretkey: b,"
        " regionendpoint: 'http://127.0.0.1:1'}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"^storage\.s3: s3: ListObjectsV2 of bucket images: "):
        prepare(load(str(tmp_path / "config.yml"), {}))

    assert "waiting" not in caplog.text


def test_a_directory_of_acme_that_holds_a_certificate_already_gets_what_else_is_needed(tmp_path: Path) -> None:
    orders = pytest.importorskip("registry.server.acme.orders", reason="the acme extra is not installed")
    store = Store(str(tmp_path / "acme"))
    store.certificate.parent.mkdir()
    store.write_certificate(orders.placeholder(()))

    prepare(configured(tmp_path, http_tls_letsencrypt_cachefile=str(tmp_path / "acme")))

    store.write_attempts(Attempts(failed=1), "registry.example.com")
    assert store.attempts("registry.example.com").failed == 1
