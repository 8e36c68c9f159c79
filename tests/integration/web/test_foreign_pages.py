"""Pages of other origins that send, from a browser in which somebody has logged in, what only our forms may send."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.servers import Server, ours
from tests.integration.web.chromium import watched
from tests.integration.web.conftest import PASSWORDS, local_users
from tests.integration.web.gallery import EMPTY, push
from tests.integration.web.test_pages import log_in
from tests.web.test_security import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.integration.web.chromium import Watched

    Fields = Mapping[str, str]

APP: Final = "team/app"
TOKEN: Final = "form[action='/ui/_logout'] [name=token]"
REFUSED: Final = "This form was sent by a page of another site"


@dataclass(frozen=True, slots=True)
class Target:
    """A registry that others want to change: Anna has a key called `key` there, and APP an image `digest`, v1."""

    server: Server
    digest: str
    key: str

    @property
    def url(self) -> str:
        return f"{self.server.url}/ui/"

    def wishes(self) -> dict[str, Fields]:
        """Give for each form what would change something if it came from a page of the registry."""
        return {
            "/ui/_tag": {"repository": APP, "digest": self.digest, "tag": "evil"},
            "/ui/_copy": {"repository": APP, "digest": self.digest, "target": "evil/app", "tag": "v1"},
            "/ui/_delete": {"repository": APP, "tag": "v1", "seen:v1": self.digest},
            "/ui/_keys": {"name": "evil", "actions": "pull", "lifetime": "30d"},
            "/ui/_keys/_revoke": {"key": self.key},
            "/ui/_logout": {"everywhere": "yes"},
            "/ui/_login": {"user": "otto", "password": PASSWORDS["otto"]},
        }

    def state(self, tab: Watched) -> tuple[str, dict[Path, bytes]]:
        """Give who has logged in, and all that is stored."""
        who = tab.open().locator(".who")
        stored = {path: path.read_bytes() for path in self.server.root.rglob("*") if path.is_file()}
        return who.inner_text() if who.count() else "", stored


@pytest.fixture(scope="module")
def target(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp("target")
    ui = {"ui": {"enabled": True}}
    server = Server(ours(), directory / "root", directory, settings=ui).start()
    try:
        digest = push(server.api, APP, (EMPTY, b"{}"), [], ["v1"], artifactType="application/vnd.example")
        server.reload({**ui, "auth": {"local": {**local_users(directory), "apikeys": "storage"}}})
        with watched(browser, f"{server.url}/ui/") as tab:
            log_in(tab, "anna")
            page = tab.open("_keys")
            page.get_by_label("Name").fill("laptop")
            page.get_by_role("button", name="Make the key").click()
            key = page.locator("#key-text").inner_text().split("_")[1]
        yield Target(server, digest, key)
    finally:
        server.stop_cleanly()
        shutil.rmtree(server.root)


@contextmanager
def foreign_page(text: str) -> Iterator[int]:
    """Serve a page with this text; its port is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = text.encode() if self.path == "/" else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def form(action: str, fields: Fields) -> str:
    """Give a page with a form whose button promises something else."""
    inputs = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in fields.items())
    return f'<form method="post" action="{escape(action)}">{inputs}<button>Win a prize</button></form>'


def script(action: str, fields: Fields) -> str:
    """Give a page with a button whose script sends the same, and says so then."""
    sent = f"fetch({json.dumps(action)}, {{method: 'POST', mode: 'no-cors', credentials: 'include', body: fields}})"
    return (
        f"<button>Win a prize</button><script>const fields = new URLSearchParams({json.dumps(dict(fields))});"
        f"document.querySelector('button').onclick = () => {sent}.catch(() => 0).then(() => document.title = 'sent')"
        "</script>"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["same site", "another site"])
def test_no_page_of_another_origin_changes_anything(browser: Browser, target: Target, host: str) -> None:
    """It even knows the token of the forms, so that nothing but its origin keeps it out."""
    wishes = target.wishes()
    assert sorted(wishes) == FORMS
    with watched(browser, target.url) as tab:
        page = log_in(tab, "anna")
        token = page.locator(TOKEN).get_attribute("value") or ""
        before = target.state(tab)
        assert before[0] == "anna"
        for path, fields in wishes.items():
            action, sent = target.server.url + path, {**fields, "token": token}
            with foreign_page(form(action, sent)) as port:
                page.goto(f"http://{host}:{port}/")
                page.get_by_role("button").click()
                page.wait_for_url(action)
                page.get_by_text(REFUSED).wait_for()
            with foreign_page(script(action, sent)) as port:
                page.goto(f"http://{host}:{port}/")
                page.get_by_role("button").click()
                page.wait_for_function("document.title === 'sent'")
        assert target.state(tab) == before
        tab.told()  # of what the browser has kept those pages from


def test_the_same_from_a_page_of_the_registry_changes_something_each_time(browser: Browser, target: Target) -> None:
    """Or else the test before this one would prove nothing."""
    with watched(browser, target.url) as tab:
        for path, fields in target.wishes().items():
            page = log_in(tab, "anna")
            before = target.state(tab)
            token = page.locator(TOKEN).get_attribute("value")
            page.evaluate(
                "([path, fields]) => fetch(path, {method: 'POST', body: new URLSearchParams(fields)})",
                [path, {**fields, "token": token}],
            )
            assert target.state(tab) != before, path
            page.context.clear_cookies()
