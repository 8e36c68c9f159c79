"""The search for secrets in the logs finds those that are there."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.integration.secrecy import SUITE, Secrecy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer

PLANTED = "planted-secret"


def test_secret_that_a_server_logs_is_found(start_server: StartServer) -> None:
    server = start_server()
    assert server.api.get(f"/v2/{PLANTED}/tags/list").status == 404
    server.stop_cleanly()
    secrecy = Secrecy(logs={server.log_path})
    assert secrecy.leaks() == []
    secrecy.add(PLANTED)
    assert any(PLANTED in line for line in secrecy.leaks())


def test_secrets_of_a_server_and_its_clients_are_known(start_server: StartServer) -> None:
    server = start_server(secret="a signing secret of its own", settings={"redis": {"password": "of-the-cache"}})
    begun = server.api.begin_upload("a/b")
    basic = base64.b64encode(b"user:some-password").decode()
    server.api.get("/v2/", Authorization=f"Basic {basic}")
    assert {"a signing secret of its own", "of-the-cache", basic} < SUITE.secrets
    assert any(secret in begun.headers["Location"] for secret in SUITE.secrets)
    assert server.log_path in SUITE.logs


def test_secrets_of_endpoints_are_known() -> None:
    secrecy = Secrecy()
    endpoint = {
        "url": "http://someone:in-the-userinfo@127.0.0.1/hook?token=in-the-query",
        "headers": {"Authorization": ["Bearer in-a-header"], "Accept": ["a/b"]},
        "secret": "whsec_signing",
    }
    secrecy.add_configuration({"notifications": {"endpoints": [endpoint]}})
    login = base64.b64encode(b"someone:in-the-userinfo").decode()
    assert secrecy.secrets == {"in-the-userinfo", login, "in-the-query", "Bearer in-a-header", "whsec_signing"}


@pytest.mark.parametrize(
    "line",
    [
        "PUT /v2/a/blobs/uploads/1?_state=abc",
        "GET /x?a=1&X-Amz-Signature=0f",
        "GET /x?sv=1&sig=abc%3D",
        "token eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSJ9.x",
        "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==",
    ],
)
def test_what_only_real_clients_know_is_found_by_its_form(line: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("?_state=...&digest=x Authorization: Basic ... X-Amz-Signature=...\n")
    assert Secrecy(logs={log}).leaks() == []
    log.write_text(f"{line}\n")
    assert Secrecy(logs={log}).leaks() == [f"{log}:1:{line}"]
