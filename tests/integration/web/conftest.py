"""One browser for all tests of pages, and a registry with something to look at."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import bcrypt
import pytest

from tests.integration.servers import Server, ours
from tests.integration.waiting import wait_until
from tests.integration.web.chromium import chromium
from tests.integration.web.gallery import Gallery, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

PASSWORDS: Final = {"anna": "anna's password", "otto": "otto's password"}
"""Anna maintains the registry; Otto may pull all of it, and push to the shop what is new."""

HOST: Final = "registry.example.com"
"""What the names of images begin with on pages."""

_RULES: Final = [
    {"repositories": "base/**", "anonymous": ["pull"], "user:anna": ["*"]},
    {"repositories": "shop/**", "authenticated": ["pull"], "user:otto": ["pull", "push"], "user:anna": ["*"]},
    {"repositories": "**", "authenticated": ["pull"], "user:anna": ["*"]},
]


@dataclass(frozen=True, slots=True)
class Shown:
    """A registry whose pages are at `url`, and what it has in it."""

    server: Server
    gallery: Gallery

    @property
    def url(self) -> str:
        return f"{self.server.url}/ui/"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def local_users(directory: Path) -> dict[str, Any]:
    """Give the section ``auth.local`` of a registry with these users, whose files are in `directory`."""
    htpasswd = directory / "htpasswd"
    lines = (f"{user}:{bcrypt.hashpw(each.encode(), bcrypt.gensalt(5)).decode()}\n" for user, each in PASSWORDS.items())
    htpasswd.write_text("".join(lines))
    return {"htpasswd": str(htpasswd), "apikeys": "storage", "rules": _RULES, "maintainers": ["user:anna"]}


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A registry of a shop: it is filled while everybody may push, and has users then."""
    directory = tmp_path_factory.mktemp("shown")
    ui = {
        "ui": {"enabled": True, "title": "Example Shop", "host": HOST, "index": {"directory": str(directory / "index")}}
    }
    server = Server(ours(), directory / "root", directory, settings=ui).start()
    try:
        gallery = fill(server.api)
        wait_until("the index has it", lambda: b"8 repositories and 17 tags" in server.api.get("/ui/_storage").body)
        server.reload({**ui, "auth": {"local": local_users(directory)}})
        yield Shown(server, gallery)
    finally:
        server.stop_cleanly()
        shutil.rmtree(server.root)
