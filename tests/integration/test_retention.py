"""Retention beside a real server, which notes what real clients pull."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_program, run
from tests.integration.content import fill
from tests.integration.pages import PROGRAMS
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)
APP = "team/app"


def settings(**retention: object) -> dict[str, object]:
    return {"storage": {"maintenance": {"retention": {"maxshare": 100, **retention}}}}


def tags(server: Server) -> list[str]:
    listed: list[str] = json.loads(server.api.get(f"/v2/{APP}/tags/list").body)["tags"]
    return listed


def age(server: Server) -> None:
    for link in server.root.glob(f"**/{APP}/_manifests/tags/*/current/link"):
        os.utime(link, (0, 0))


def retention(directory: Path, *arguments: str) -> str:
    config = next(directory.glob("*.yml"))
    return run(PROGRAMS / "registry", "retention", *arguments, "--config", str(config))


def test_tags_that_clients_have_pulled_by_tag_or_digest_stay(start_server: StartServer, tmp_path: Path) -> None:
    crane, skopeo = require_program("crane"), require_program("skopeo")
    server = start_server(settings=settings(rules=[{"repositories": ["**"], "keep": [{"pulledwithin": "2h"}]}]))
    fill(server, f"{APP}:any")
    image = server.api.manifest(APP, "any").json()
    for tag in ("by-tag", "by-digest", "by-head", "never"):
        content = json.dumps({**image, "annotations": {"of": tag}}).encode()
        assert server.api.put_manifest(APP, tag, content).status == 201
    since = server.root / "registry/pulls/since"
    wait_until("pulls are noted", since.exists)
    digest = server.api.manifest(APP, "by-digest").digest
    server.stop()  # what was pulled until here is a push's and this test's own
    for batch in server.root.glob("registry/pulls/2*/*"):
        batch.unlink()
    server.start()

    run(crane, "--insecure", "pull", f"{server.host}/{APP}:by-tag", tmp_path / "by-tag.tar")
    source = f"docker://{server.host}/{APP}@{digest}"
    run(skopeo, "copy", "--src-tls-verify=false", source, f"dir:{tmp_path / 'by-digest'}")
    run(crane, "--insecure", "digest", f"{server.host}/{APP}:by-head")
    server.stop()
    age(server)
    assert "pulls are not known for so long" in retention(tmp_path, "plan")
    three_hours_ago = time.time() - 3 * 3600
    since.write_text(repr(three_hours_ago))
    os.utime(since, (three_hours_ago, three_hours_ago))
    gone = retention(tmp_path, "run", "--no-dry-run")

    assert re.findall(r"^untagged (\S+)", gone, re.MULTILINE) == [f"{APP}:any", f"{APP}:never"]
    server.start()
    assert tags(server) == ["by-digest", "by-head", "by-tag"]
    assert retention(tmp_path, "undo", "1") == f"{APP}:any restored\n{APP}:never restored\n"
    assert tags(server) == ["any", "by-digest", "by-head", "by-tag", "never"]


def test_server_takes_tags_away_by_itself_and_its_log_and_the_list_say_so(
    start_server: StartServer, tmp_path: Path
) -> None:
    rules = [{"repositories": ["team/*"], "keep": [{"newest": 1}]}]
    server = start_server(settings=settings(enabled=True, dryrun=False, interval="1s", rules=rules))
    fill(server, f"{APP}:v1", f"{APP}:v2")

    wait_until("a tag has gone", lambda: len(tags(server)) == 1)

    def runs() -> list[dict[str, object]]:
        listed: list[dict[str, object]] = json.loads(retention(tmp_path, "list", "--json"))
        return [each for each in listed if each["untagged"]]

    wait_until("the run has ended", lambda: bool(runs()))
    assert [(each["scheduled"], each["untagged"]) for each in runs()] == [(True, 1)]
