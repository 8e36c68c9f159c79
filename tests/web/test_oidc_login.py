from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from registry.web.departures import DEPARTED_SECONDS
from tests.auth.identity_provider import identity_provider
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.auth.identity_provider import IdentityProvider
    from tests.conftest import Serve
    from tests.web.visiting import Page

RULES = [{"repositories": "team/**", "authenticated": ["pull"]}]


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def client(serve: Serve, tmp_path: Path, htpasswd: Path, idp: IdentityProvider) -> FlaskClient:
    """Serve pages to those who have a password, and to those of a provider."""
    local: dict[str, Any] = {
        "htpasswd": str(htpasswd),
        "key": str(tmp_path / "key.pem"),
        "rules": RULES,
        "login": {"oidc": [idp.parameters()]},
    }
    return serve(ui={"enabled": True}, auth={"local": local})


def came_back(browser: Browser, idp: IdentityProvider, target: str = "", **changes: str) -> Page:
    """Log in at the provider, and bring `changes` of what it says back from there."""
    sent = browser.get(f"/ui/_oidc/corp?next={target}", follow=False)
    assert (sent.status, sent.location.startswith(f"{idp.issuer}/auth?")) == (303, True)
    return browser.get(f"/ui/_oidc/corp?{urlencode({**idp.visited(sent.location), **changes})}", follow=False)


def test_who_has_logged_in_there_is_led_to_the_page_that_was_asked_for(
    client: FlaskClient, idp: IdentityProvider
) -> None:
    browser = Browser(client)
    assert "/ui/_oidc/corp?next=%2Fui%2F" in browser.get("/ui/_login").links

    led = came_back(browser, idp, "/ui/team/app")

    assert (led.status, led.location) == (303, "/ui/team/app")
    assert "alice@corp.example" in browser.get().text


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/v2/"])
def test_nobody_is_led_to_another_site(client: FlaskClient, idp: IdentityProvider, target: str) -> None:
    assert came_back(Browser(client), idp, target).location == "/ui/"


def test_what_was_begun_in_one_browser_cannot_be_finished_in_another(
    client: FlaskClient, idp: IdentityProvider
) -> None:
    attacker, victim = Browser(client), Browser(client.application.test_client())
    sent = attacker.get("/ui/_oidc/corp", follow=False)

    answered = victim.get(f"/ui/_oidc/corp?{urlencode(idp.visited(sent.location))}", follow=False)

    assert answered.status == 400
    assert "took too long, or was begun elsewhere" in answered.text
    assert not victim.get(follow=False).location.endswith("/ui/team")


def test_an_answer_is_taken_once(client: FlaskClient, idp: IdentityProvider) -> None:
    browser = Browser(client)
    sent = browser.get("/ui/_oidc/corp", follow=False)
    back = f"/ui/_oidc/corp?{urlencode(idp.visited(sent.location))}"
    assert browser.get(back, follow=False).status == 303

    assert browser.get(back, follow=False).status == 400


def test_who_takes_too_long_begins_again(
    client: FlaskClient, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(client)
    sent = browser.get("/ui/_oidc/corp", follow=False)
    departures = client.application.extensions["registry.web"].departures
    later = departures._clock() + DEPARTED_SECONDS
    monkeypatch.setattr(departures, "_clock", lambda: later)

    assert browser.get(f"/ui/_oidc/corp?{urlencode(idp.visited(sent.location))}", follow=False).status == 400


def test_who_is_refused_is_told_so_on_the_page_to_log_in(client: FlaskClient, idp: IdentityProvider) -> None:
    refused = came_back(Browser(client), idp, "", error="access_denied")

    assert refused.status == 401
    assert "You cannot log in here with Corp account" in refused.text
    assert "WWW-Authenticate" not in refused.response.headers


def test_a_provider_that_is_down_is_a_page_that_says_so(client: FlaskClient, idp: IdentityProvider) -> None:
    idp.metadata["issuer"] = "https://evil.example"

    answered = Browser(client).get("/ui/_oidc/corp", follow=False)

    assert answered.status == 503
    assert "Corp account does not answer as it should" in answered.text
    assert "evil" not in answered.text
    assert answered.form("/_login")


def test_a_provider_that_there_is_not_is_404(client: FlaskClient) -> None:
    assert Browser(client).get("/ui/_oidc/other").status == 404


def test_who_logs_out_here_may_log_out_there_too(client: FlaskClient, idp: IdentityProvider) -> None:
    browser = Browser(client)
    came_back(browser, idp)

    out = browser.send(browser.get().form("/_logout"))

    assert (out.status, f"{idp.issuer}/bye?" in "".join(out.links)) == (200, True)
    assert "post_logout_redirect_uri=http%3A%2F%2Flocalhost%2Fui%2F" in "".join(out.links)
    assert "alice@corp.example" not in out.text
    assert "alice@corp.example" not in browser.get().text


def test_no_provider_learns_a_password_of_the_configuration(
    serve: Serve, tmp_path: Path, idp: IdentityProvider
) -> None:
    local = {"key": str(tmp_path / "key.pem"), "rules": RULES, "login": {"oidc": [idp.parameters()]}}
    http = {"host": "https://user:hidden@registry.example:5000", "secret": "s"}
    client = serve(ui={"enabled": True}, auth={"local": local}, http=http)

    sent = Browser(client).get("/ui/_oidc/corp", follow=False).location

    assert parse_qs(urlsplit(sent).query)["redirect_uri"] == ["https://registry.example:5000/ui/_oidc/corp"]


def test_who_has_logged_in_with_a_password_is_sent_nowhere_to_log_out(client: FlaskClient) -> None:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")

    out = browser.send(browser.get().form("/_logout"), follow=False)

    assert (out.status, out.location) == (303, "/ui/")
