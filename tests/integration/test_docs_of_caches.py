"""What docs/pull-through.md and the files for clients say is true."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import yaml

from tests.integration.content import fill
from tests.integration.pages import PROJECT, Reader, blocks
from tests.integration.servers import ours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer

PAGES = ("pull-through.md",)
CLIENTS = PROJECT / "deploy/clients"


def test_pull_through_page(start_server: StartServer, tmp_path: Path) -> None:
    (text, *_) = (block.text for block in blocks("pull-through.md") if block.language == "yaml")
    upstream = start_server(ours(), root=tmp_path / "upstream")
    fill(upstream, "library/alpine:3.20", "library/older:1", "app:v1")
    proxies = yaml.safe_load(text)["proxies"]
    for entry in proxies:
        entry["remoteurl"] = upstream.url
        entry.pop("auth", None)
    cache = start_server(settings={"proxies": proxies})
    assert cache.api.manifest("hub/older", "1").status == 200
    assert cache.api.manifest("team/app", "v1").status == 200
    reader = Reader(
        tmp_path,
        environment={"REGISTRY_CONFIGURATION_PATH": str(tmp_path / f"ours-{cache.port}.yml")},
        skipped={"docker pull": "test_pull_through_engines has engines"},
    )

    said = reader.work_through("pull-through.md")

    assert "hub " in said["registry proxy check"]
    assert "hub/library/alpine" in said["registry proxy list"]
    assert cache.api.get("/v2/hub/library/older/tags/list").json()["tags"] == ["1"], "it is asked for again"
    fill(cache, "own/app:v1")
    assert cache.api.manifest("own/app", "v1").status == 200


def test_files_for_clients_are_what_the_page_shows() -> None:
    shown = [block.text for block in blocks("pull-through.md")]

    assert any(tomllib.loads(text) == tomllib.loads((CLIENTS / "hosts.toml").read_text()) for text in _toml(shown))
    assert any(tomllib.loads(text) == tomllib.loads((CLIENTS / "registries.conf").read_text()) for text in _toml(shown))
    assert any('"registry-mirrors"' in text and json.loads(text) == _daemon() for text in shown)
    mirrors = [yaml.safe_load(text) for text in shown if text.startswith("mirrors:")]
    assert mirrors == [yaml.safe_load((CLIENTS / "registries.yaml").read_text())]


def _toml(texts: list[str]) -> list[str]:
    return [text for text in texts if text.startswith(("server =", "[[registry]]"))]


def _daemon() -> object:
    return json.loads((CLIENTS / "daemon.json").read_text())
