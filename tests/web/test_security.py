"""Every form of every page, sent in each way that a page of another site could bring a browser to send it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from registry.app import create_app
from registry.config.loading import parse
from registry.services import build_services
from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Configure, Serve

UI: Final = {"enabled": True}
_ROUTES_OF: Final = """
version: 0.1
storage: {inmemory: {}}
ui: {enabled: true}
"""


def _forms() -> list[str]:
    """Return the paths that a form may be sent to, with something in the place of each argument."""
    app = create_app(build_services(parse(_ROUTES_OF, "config.yml", {})))
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("web_")]
    return sorted(re.sub("<.*?>", "something", rule.rule) for rule in rules if "POST" in (rule.methods or ()))


FORMS: Final = _forms()
SAME: Final = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Forgery:
    """A request that was not sent by a page made for the visitor: its `token` and its `headers`."""

    token: str
    headers: Mapping[str, str]


FORGERIES: Final = {
    "no token": Forgery("", SAME),
    "a wrong token": Forgery("0" * 64, SAME),
    "the token of another session": Forgery("other", SAME),
    "a token that is not ASCII": Forgery("\u00e4", SAME),
    "a page of another site": Forgery("own", {"Sec-Fetch-Site": "cross-site"}),
    "a page of another host of the site": Forgery("own", {"Sec-Fetch-Site": "same-site"}),
    "no page at all": Forgery("own", {"Sec-Fetch-Site": "none"}),
    "an origin that is another one": Forgery("own", {"Origin": "https://evil.example"}),
    "an origin that is hidden": Forgery("own", {"Origin": "null"}),
    "another port": Forgery("own", {"Origin": "http://localhost:8080"}),
    "a page that refers from elsewhere": Forgery("own", {"Referer": "http://evil.example/localhost/ui/"}),
    "a lie about the origin beside the browser's word": Forgery(
        "own", {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}
    ),
    "nothing that tells where it is from": Forgery("own", {}),
}


def token_of(browser: Browser) -> str:
    (token,) = browser.get().form("/_logout").fields["token"]
    return token


@pytest.fixture
def client(serve: Serve, htpasswd: Path) -> FlaskClient:
    client = serve(
        ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": [{"repositories": "**", "authenticated": ["pull"]}]}}
    )
    push_image(serve(), "app", "v1")
    return client


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_form_changes_nothing(client: FlaskClient, path: str, forgery: Forgery) -> None:
    mine, other = Browser(client), Browser(client.application.test_client())
    mine.log_in("alice", "wonderland")
    other.log_in("ci", "machine")
    token = {"own": token_of(mine), "other": token_of(other)}.get(forgery.token, forgery.token)

    answered = mine.post(path, {"token": token}, forgery.headers, follow=False)

    assert answered.status == 403
    assert answered.response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "alice" in mine.get().text


@pytest.mark.parametrize("path", FORMS)
def test_a_link_changes_nothing(client: FlaskClient, path: str) -> None:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")

    browser.get(path, follow=False)

    assert "alice" in browser.get().text
    assert client.get("/v2/app/tags/list", auth=("alice", "wonderland")).json == {"name": "app", "tags": ["v1"]}


@pytest.mark.parametrize("path", FORMS)
def test_who_has_never_opened_a_page_sends_no_form(client: FlaskClient, path: str) -> None:
    nothing_to_know_it_by = Browser(client.application.test_client())

    assert nothing_to_know_it_by.post(path, {"token": "0" * 64}, SAME).status == 403


@pytest.mark.parametrize(
    "headers",
    [SAME, {"Origin": "http://localhost"}, {"Referer": "http://localhost/ui/"}],
    ids=["fetch metadata", "origin", "referer"],
)
def test_a_form_of_our_own_is_taken(client: FlaskClient, headers: Mapping[str, str]) -> None:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")

    assert browser.post("/ui/_logout", {"token": token_of(browser)}, headers, follow=False).status == 303


def test_a_token_of_before_the_login_is_none_after_it(client: FlaskClient) -> None:
    browser = Browser(client)
    (before,) = browser.get("/ui/_login").form("/_login").fields["token"]
    browser.log_in("alice", "wonderland")

    assert browser.post("/ui/_logout", {"token": before}).status == 403


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("https://registry.example", {"Origin": "https://registry.example"}),
        (
            "",
            {
                "Origin": "https://registry.example",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "registry.example",
            },
        ),
        ("https://registry.example", {"Origin": "http://localhost"}),
    ],
    ids=["http.host", "a proxy that tells", "past the proxy"],
)
def test_a_form_is_taken_by_whichever_name_the_registry_is_reached(
    serve: Serve, htpasswd: Path, host: str, headers: Mapping[str, str]
) -> None:
    http = {"host": host} if host else {}
    client = serve(ui=UI, http=http, auth={"htpasswd": {"realm": "tests", "path": str(htpasswd)}})
    secure = "https" in host or "X-Forwarded-Proto" in headers
    browser = Browser(client, "https://localhost" if secure else "http://localhost")
    proxy = {name: value for name, value in headers.items() if name != "Origin"}
    form = browser.get("/ui/_login", proxy).form("/_login")
    fields = {**form.fields, "user": "alice", "password": "wonderland"}

    assert browser.post("/ui/_login", fields, headers, follow=False).status == 303


def test_pages_of_other_origins_get_nothing(serve: Serve) -> None:
    allowing = {"origins": ["https://other.example"], "credentials": True}
    headers = {"Access-Control-Allow-Origin": ["*"], "Strict-Transport-Security": ["max-age=1"]}
    client = serve(ui=UI, http={"cors": allowing, "headers": headers})

    for method in ("GET", "OPTIONS"):
        answered = client.open("/ui/", method=method, headers={"Origin": "https://other.example"})
        assert not [name for name, _ in answered.headers if name.lower().startswith("access-control-")]
        assert answered.headers["Strict-Transport-Security"] == "max-age=1"


def test_another_registry_cannot_have_written_the_session(
    driver: InMemoryDriver, configuration: Configure, htpasswd: Path
) -> None:
    auth = {"htpasswd": {"realm": "tests", "path": str(htpasswd)}}
    one, other = (
        create_app(
            build_services(configuration(ui=UI, auth=auth, http={"secret": secret}), driver=driver)
        ).test_client()
        for secret in ("one", "another")
    )
    Browser(one).log_in("alice", "wonderland")
    cookie = one.get_cookie("registry-session", path="/ui")
    assert cookie is not None
    other.set_cookie("registry-session", cookie.value, path="/ui")
    one.set_cookie("registry-session", cookie.value[:-2] + "xx", path="/ui")

    assert Browser(other).get(follow=False).location.startswith("/ui/_login")
    assert Browser(one).get(follow=False).location.startswith("/ui/_login")


def test_a_form_that_is_too_large_is_refused_on_a_page(client: FlaskClient) -> None:
    browser = Browser(client)
    form = browser.get("/ui/_login").form("/_login")

    refused = browser.post(form.action, {**form.fields, "user": "a" * 300_000, "password": "x"})

    assert (refused.status, refused.response.content_type) == (413, "text/html; charset=utf-8")
