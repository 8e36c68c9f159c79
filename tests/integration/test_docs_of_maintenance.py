"""What the pages about deleting, collecting and limiting say is true."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import bcrypt
import yaml

from tests.integration.api import Api
from tests.integration.content import fill
from tests.integration.pages import Reader, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer

PAGES = ("maintenance.md", "quotas.md")


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


def test_quotas_page(start_server: StartServer, tmp_path: Path) -> None:
    (text, *_) = (block.text for block in blocks("quotas.md") if block.language == "yaml")
    maintenance = yaml.safe_load(text)["storage"]["maintenance"]
    server = start_server(settings={"storage": {"maintenance": maintenance}})
    fill(server, "team/app:v1", "team/app:v2", "team/web:v1", "other/app:v1")
    reader = Reader(
        tmp_path,
        environment={"REGISTRY_CONFIGURATION_PATH": str(next(tmp_path.glob("*.yml")))},
        skipped={"      USED": "what a command says"},
    )

    said = reader.work_through("quotas.md")

    assert re.search(r"^ +\d+ B +500\.0 GiB +0 +team/\*\*", said["registry usage --recount"], re.MULTILINE)
    assert "other/app" in said["registry usage"]
    assert "other/app" not in said["registry usage team"]
