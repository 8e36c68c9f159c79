from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.conftest import Serve

UI = {"enabled": True}


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
