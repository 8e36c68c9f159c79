"""``registry ls`` at a URL over TLS, and ``registry notifications`` beside a registry that runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.clients import finish
from tests.integration.content import fill
from tests.integration.pages import PROGRAMS
from tests.integration.waiting import wait_until
from tests.notifications.receiver import Answering, receiving
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


def test_what_an_endpoint_has_refused_is_listed_and_sent_again_while_the_registry_runs(
    start_server: StartServer, tmp_path: Path
) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: Answering(410)
        endpoint = {"name": "ci", "url": receiver.url(), "threshold": 1}
        server = start_server(settings={"notifications": {"endpoints": [endpoint]}})
        config = str(next(tmp_path.glob("*.yml")))

        def listed() -> dict[str, Any]:
            done = finish(PROGRAMS / "registry", "notifications", "list", "--json", "--config", config)
            (row,) = json.loads(done.stdout)
            return dict(row)

        fill(server, "team/app:v1")
        wait_until("three dead letters", lambda: listed()["dead"] == 3)
        assert listed()["lastError"] == "it answers 410 Gone"
        receiver.answer = lambda _: Answering()
        done = finish(PROGRAMS / "registry", "notifications", "retry", "--all", "--config", config)
        assert (done.returncode, done.stdout) == (0, "3 events are delivered\n")
        assert receiver.tags == ["", "", "v1"]
        fill(server, "team/app:v2")
        wait_until("what is pushed now", lambda: "v2" in receiver.tags)
        wait_until("nothing to wait", lambda: (listed()["waiting"], listed()["dead"]) == (0, 0))
        assert listed()["failingSince"] is None
