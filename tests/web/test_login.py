from __future__ import annotations

from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

import pytest

from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.conftest import Serve


@pytest.fixture
def client(serve: Serve, htpasswd: Path) -> FlaskClient:
    """Serve pages to those who have a password."""
    return serve(ui={"enabled": True}, auth={"htpasswd": {"realm": "tests", "path": str(htpasswd)}})


def cookie_of(response: TestResponse, name: str) -> SimpleCookie:
    """Return the Set-Cookie header of the cookie called so."""
    (header,) = [each for each in response.headers.getlist("Set-Cookie") if each.startswith(f"{name}=")]
    return SimpleCookie(header)


def test_who_logs_in_comes_back_to_the_page_that_was_asked_for(client: FlaskClient) -> None:
    browser = Browser(client)

    login = browser.get("/ui/team/app?sort=name")
    form = login.form("/_login")
    led = browser.send(form, follow=False, user="alice", password="wonderland")

    assert (led.status, led.location) == (303, "/ui/team/app?sort=name")
    assert browser.get().status == 200


@pytest.mark.parametrize(
    ("user", "password"), [("alice", "machine"), ("alice", ""), ("nobody", "wonderland"), ("", "")]
)
def test_a_wrong_password_is_401_on_the_same_page_without_a_challenge(
    client: FlaskClient, user: str, password: str
) -> None:
    browser = Browser(client)

    refused = browser.log_in(user, password)

    assert refused.status == 401
    assert "WWW-Authenticate" not in refused.response.headers
    assert "The user name or the password is wrong." in refused.text
    assert browser.get(follow=False).location.startswith("/ui/_login")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/ui/\\..\\evil",
        "/ui//evil.example",
        "/ui/../v2/",
        "/v2/",
        "javascript:alert(1)",
        "/ui/\nLocation: x",
        "/uix",
        "",
    ],
)
def test_a_login_leads_to_no_other_place(client: FlaskClient, target: str) -> None:
    browser = Browser(client)
    form = browser.get("/ui/_login").form("/_login")

    led = browser.send(form, follow=False, user="alice", password="wonderland", next=target)

    assert (led.status, led.location) == (303, "/ui/")


def test_the_cookie_is_for_pages_only_and_no_script_reads_it(client: FlaskClient) -> None:
    browser = Browser(client)
    form = browser.get("/ui/_login").form("/_login")

    led = browser.send(form, follow=False, user="alice", password="wonderland")

    morsel = cookie_of(led.response, "registry-session")["registry-session"]
    assert (morsel["path"], morsel["samesite"], morsel["httponly"], morsel["secure"]) == ("/ui", "Lax", True, "")


def test_over_tls_the_cookie_goes_over_tls_only_and_no_other_host_can_set_it(client: FlaskClient) -> None:
    browser = Browser(client, "https://localhost")
    form = browser.get("/ui/_login").form("/_login")

    led = browser.send(form, follow=False, user="alice", password="wonderland")

    morsel = cookie_of(led.response, "__Host-registry-session")["__Host-registry-session"]
    assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")


def test_pages_of_who_is_logged_in_are_stored_nowhere(client: FlaskClient) -> None:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")

    assert browser.get().response.headers["Cache-Control"] == "no-store"
    assert browser.get("/ui/_nothing").response.headers["Cache-Control"] == "no-store"


def test_who_logs_out_is_unknown_from_then_on(client: FlaskClient) -> None:
    browser = Browser(client)
    home = browser.log_in("alice", "wonderland")
    assert "alice" in home.text

    browser.send(home.form("/_logout"))

    assert browser.get(follow=False).location.startswith("/ui/_login")


@pytest.mark.parametrize("rules", [None, []])
def test_a_copied_cookie_is_good_no_longer_once_its_owner_has_logged_out(
    serve: Serve, htpasswd: Path, rules: list[object] | None
) -> None:
    by_rules = {"local": {"htpasswd": str(htpasswd), "rules": rules}}
    by_password = {"htpasswd": {"realm": "tests", "path": str(htpasswd)}}
    client = serve(ui={"enabled": True}, auth=by_password if rules is None else by_rules)
    browser = Browser(client)
    home = browser.log_in("alice", "wonderland")
    copied = client.get_cookie("registry-session", path="/ui")
    assert copied
    elsewhere = Browser(client.application.test_client())
    elsewhere.client.set_cookie("registry-session", copied.value, path="/ui")
    assert "alice" in elsewhere.get("/ui/_search").text

    browser.send(home.form("/_logout"))

    assert "alice" not in elsewhere.get("/ui/_search").text
    assert "alice" in browser.log_in("alice", "wonderland").text


def test_one_can_log_out_where_nothing_can_be_recorded(serve: Serve, htpasswd: Path) -> None:
    auth = {"htpasswd": {"realm": "tests", "path": str(htpasswd)}}
    read_only = {"maintenance": {"readonly": {"enabled": True}}}
    browser = Browser(serve(ui={"enabled": True}, auth=auth, storage=read_only))
    home = browser.log_in("alice", "wonderland")

    assert browser.send(home.form("/_logout"), follow=False).status == 303

    assert browser.get(follow=False).location.startswith("/ui/_login")


def test_the_header_of_the_api_says_nothing_to_pages(client: FlaskClient) -> None:
    answered = client.get("/ui/", auth=("alice", "wonderland"))

    assert answered.status_code == 303


def test_a_password_that_is_changed_ends_the_session(client: FlaskClient, htpasswd: Path) -> None:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")
    assert browser.get(follow=False).status == 200

    htpasswd.write_text(htpasswd.read_text().partition("\n")[2])

    assert browser.get(follow=False).location.startswith("/ui/_login")


def test_too_many_wrong_passwords_are_429_on_the_same_page(client: FlaskClient) -> None:
    browser = Browser(client)
    for number in range(60):
        refused = browser.log_in("alice", f"guess {number}")
        if refused.status == 429:
            break

    assert refused.status == 429
    assert int(refused.response.headers["Retry-After"]) > 0
    assert "Too many failed attempts" in refused.text
    assert refused.form("/_login").fields["user"] == ["alice"]


@pytest.mark.parametrize("password", ["pässwörd", "a b", "x" * 2000, "\u202e"])
def test_a_password_of_any_characters_is_only_wrong(client: FlaskClient, password: str) -> None:
    assert Browser(client).log_in("alice", password).status == 401
