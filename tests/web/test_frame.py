from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.conftest import Serve

UI = {"enabled": True}
STATIC = Path(__file__).parents[2] / "registry/web/static"


@pytest.fixture
def client(serve: Serve) -> FlaskClient:
    """Serve pages and two repositories to everybody."""
    client = serve(ui=UI)
    push_image(client, "team/app", "v1")
    push_image(client, "nginx", "latest", "stable")
    return client


def test_pages_lead_from_repositories_to_tags_and_manifests(client: FlaskClient) -> None:
    browser = Browser(client)

    home = browser.get()
    repository = browser.get("/ui/nginx")
    tag = browser.get("/ui/team/app:v1")

    assert [home.status, repository.status, tag.status] == [200, 200, 200]
    assert "/ui/nginx" in home.links
    assert {"/ui/nginx:latest", "/ui/nginx:stable"} <= set(repository.links)


@pytest.mark.parametrize(
    "path", ["/ui/", "/ui/nginx", "/ui/nginx:latest", "/ui/no/such", "/ui/_nothing", "/ui/_static/x"]
)
def test_every_page_lets_nothing_of_other_origins_in_or_out(client: FlaskClient, path: str) -> None:
    headers = Browser(client).get(path).response.headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Docker-Distribution-Api-Version" not in headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ui/no/such", 404),
        ("/ui/nginx:absent", 404),
        ("/ui/nginx@sha256:0", 400),
        ("/ui/_nothing", 404),
        ("/ui/UPPER", 400),
    ],
)
def test_what_is_refused_is_a_page_with_the_status_of_the_api(client: FlaskClient, path: str, status: int) -> None:
    page = Browser(client).get(path)

    assert (page.status, page.response.content_type) == (status, "text/html; charset=utf-8")
    assert "/ui/" in page.links


def test_without_the_section_there_is_no_page(serve: Serve) -> None:
    assert serve().get("/ui/", headers={"Accept": "text/html"}).status_code == 404


@pytest.mark.parametrize(
    ("http", "place"),
    [
        ({}, "/ui/"),
        ({"prefix": "/registry/"}, "/registry/ui/"),
        ({"host": "https://registry.example/there"}, "/there/ui/"),
        ({"host": "registry.example"}, "/ui/"),
    ],
    ids=["plain", "a prefix", "a host with a path", "a host that is none"],
)
def test_a_browser_at_the_root_is_led_to_the_pages_and_a_probe_is_not(
    serve: Serve, http: dict[str, str], place: str
) -> None:
    client = serve(ui=UI, http=http)

    led = client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    probed = client.get("/", headers={"Accept": "*/*"})

    assert (led.status_code, led.headers["Location"], led.headers["Vary"]) == (302, place, "Accept")
    assert (probed.status_code, probed.data) == (200, b"")


def test_below_a_prefix_every_link_has_it(serve: Serve) -> None:
    client = serve(ui=UI, http={"prefix": "/registry/"})

    page = Browser(client).get("/registry/ui/")

    assert page.status == 200
    assert all(link.startswith("/registry/ui/") for link in page.links if link != "#main")
    assert client.get("/ui/").status_code == 404


def test_what_pages_load_is_kept_for_ever_under_a_path_of_its_version(client: FlaskClient) -> None:
    html = Browser(client).get().html
    loaded = re.findall(r'(?:src|href)="(/ui/_static/[^"]+)"', html)

    assert {path.partition("?")[0].rpartition("/")[2] for path in loaded} == {
        "htmx.min.js",
        "icon.svg",
        "ui.css",
        "ui.js",
    }
    for path in loaded:
        answered = client.get(path)
        assert (answered.status_code, answered.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        assert "?v=" in path
        assert "Vary" not in answered.headers


def test_pages_have_nothing_that_the_policy_forbids(client: FlaskClient) -> None:
    for path in ("/ui/", "/ui/nginx", "/ui/nginx:latest", "/ui/no/such", "/ui/_search?q=n"):
        html = Browser(client).get(path).html
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! src=)|hx-on|https?://", html)


@pytest.mark.parametrize(("file", "most"), [("ui.css", 20_000), ("ui.js", 6_000)])
def test_styles_and_scripts_stay_small(file: str, most: int) -> None:
    assert (STATIC / file).stat().st_size <= most


def test_without_the_section_nothing_of_the_pages_is_loaded() -> None:
    program = (
        "import sys; from registry.app import create_app; from registry.config.loading import parse; "
        "from registry.services import build_services; "
        "app = create_app(build_services(parse('version: 0.1\\nstorage: {inmemory: {}}', 'config.yml', {}))); "
        "print([name for name in sys.modules if name.startswith(('registry.web', 'registry.browsing'))], "
        "[rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith('web')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == "[] []\n"
