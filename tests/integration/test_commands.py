"""``registry ls`` at a URL over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.clients import finish
from tests.integration.content import fill
from tests.integration.pages import PROGRAMS
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer


def test_certificates_are_verified_unless_told_otherwise(start_server: StartServer, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca")
    pair = authority.issue("server")
    tls = {"certificate": str(pair.certificate), "key": str(pair.key)}
    server = start_server(settings={"http": {"tls": tls}}, tls=authority.trusting_client())
    fill(server, "team/app:v1")

    refused = finish(PROGRAMS / "registry", "ls", "--url", server.url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "certificate verify failed" in refused.stderr
    assert refused.stderr.count("\n") == 1
    for option in (("--ca-file", authority.path), ("--insecure",)):
        done = finish(PROGRAMS / "registry", "ls", "team/app", "--url", server.url, *option)
        assert (done.returncode, done.stdout) == (0, "team/app:v1\n")
    broken = finish(PROGRAMS / "registry", "ls", "--url", server.url, "--ca-file", pair.key)
    assert broken.returncode == 2
    assert "has no certificate" in broken.stderr
