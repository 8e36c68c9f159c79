"""What the page about the API beyond the specifications says is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.content import fill
from tests.integration.pages import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer

PAGES = ("extension-api.md",)


def test_extension_api_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(settings={"http": {"extensions": {"enabled": True}}})
    fill(server, "team/app:v1", "team/app:v2", "team/web:v1")

    skipped = {"curl --user": "there are no users here; test_auth_clients.py does it"}
    reader = Reader(tmp_path, {"localhost:5000": server.host}, skipped=skipped)
    said = reader.work_through("extension-api.md")

    assert [command for command, answer in said.items() if '"errors"' in answer] == []
    assert any('"tag":"v1"' in answer for answer in said.values())
