"""What the pages about deleting, collecting and limiting say is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt

from tests.integration.api import Api
from tests.integration.content import fill
from tests.integration.pages import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer

PAGES = ("maintenance.md",)


def test_maintenance_page(start_server: StartServer, tmp_path: Path) -> None:
    htpasswd = tmp_path / "htpasswd"
    server = start_server(settings={"http": {"extensions": {"enabled": True}}})
    fill(server, "team/app:v1", "team/other:v1")
    server.stop_cleanly()
    htpasswd.write_text(f"alice:{bcrypt.hashpw(b'wonderland', bcrypt.gensalt(4)).decode()}\n")
    auth = {"htpasswd": {"realm": "registry", "path": str(htpasswd)}}
    guarded = start_server(root=server.root, settings={"http": {"extensions": {"enabled": True}}, "auth": auth})
    Reader(tmp_path, {"localhost:5000": guarded.host}).work_through("maintenance.md")
    credentials = {"Authorization": "Basic YWxpY2U6d29uZGVybGFuZA=="}
    answer = Api("127.0.0.1", guarded.port).request("GET", "/v2/_catalog", headers=credentials)
    assert answer.json() == {"repositories": ["team/other"]}
