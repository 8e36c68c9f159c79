from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.conftest import Serve
    from tests.web.visiting import Page

KEYS = "/ui/_keys"


def local(htpasswd: Path) -> dict[str, object]:
    return {"htpasswd": str(htpasswd), "apikeys": "storage", "rules": [{"repositories": "**", "authenticated": ["*"]}]}


@pytest.fixture
def client(serve: Serve, htpasswd: Path) -> FlaskClient:
    for name in ("team/app", "other"):
        push_image(serve(), name, "v1")
    return serve(ui={"enabled": True}, auth={"local": local(htpasswd)})


@pytest.fixture
def alice(client: FlaskClient) -> Browser:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")
    return browser


def make(browser: Browser, **fields: str | list[str]) -> Page:
    form = browser.get(KEYS).form("/_keys")
    return browser.post(form.action, {**form.fields, "name": "laptop", **fields})


def text_of(page: Page) -> str:
    (text,) = re.findall('<code id="key-text" tabindex="0">(regkey_.*?)</code>', page.html)
    return str(text)


def may_pull(client: FlaskClient, name: str, key: str) -> bool:
    return client.get(f"/v2/{name}/manifests/v1", auth=("alice", key)).status_code == 200


def test_a_key_is_shown_once_with_the_command_that_uses_it(alice: Browser, client: FlaskClient) -> None:
    made = make(alice)

    assert made.status == 200
    assert "docker login localhost -u alice" in made.text
    key = text_of(made)
    assert may_pull(client, "team/app", key)
    listed = alice.get(KEYS)
    assert "laptop" in listed.text
    assert key not in listed.html


def test_a_key_may_do_no_more_than_its_form_has_said(alice: Browser, client: FlaskClient) -> None:
    key = text_of(make(alice, repositories="team/**", actions=["pull"]))

    assert may_pull(client, "team/app", key)
    assert not may_pull(client, "other", key)
    assert client.delete("/v2/team/app/manifests/v1", auth=("alice", key)).status_code in {401, 403}


def test_a_read_only_registry_shows_keys_and_offers_neither_to_make_nor_to_revoke_one(
    alice: Browser, serve: Serve, htpasswd: Path
) -> None:
    make(alice)
    (revoke,) = [link for link in alice.get(KEYS).links if "_revoke" in link]
    storage = {"inmemory": {}, "maintenance": {"readonly": {"enabled": True}}}
    reader = Browser(serve(ui={"enabled": True}, auth={"local": local(htpasswd)}, storage=storage))
    reader.log_in("alice", "wonderland")

    page = reader.get(KEYS)

    assert "laptop" in page.text
    assert not [link for link in page.links if "_revoke" in link]
    assert not [form for form in page.forms if form.action.endswith("/_keys") and form.method == "post"]
    assert reader.get(revoke).status == 405


def test_a_key_that_is_revoked_lets_nobody_in(alice: Browser, client: FlaskClient) -> None:
    key = text_of(make(alice))
    (asked,) = [link for link in alice.get(KEYS).links if "_revoke" in link]

    after = alice.send(alice.get(asked).form("/_revoke"))

    assert "You have no keys yet." in after.text
    assert not may_pull(client, "team/app", key)


def test_nobody_revokes_the_key_of_another_user(alice: Browser, client: FlaskClient) -> None:
    key = text_of(make(alice))
    (asked,) = [link for link in alice.get(KEYS).links if "_revoke" in link]
    form = alice.get(asked).form("/_revoke")
    ci = Browser(client.application.test_client())
    (token,) = ci.log_in("ci", "machine").form("/_logout").fields["token"]

    assert ci.get(asked).status == 404
    assert ci.post(form.action, {**form.fields, "token": token}).status == 404
    assert may_pull(client, "team/app", key)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "  "}, "The key needs a name."),
        ({"name": "x" * 500}, "The name of a key has at most"),
        ({"name": "a\x00b"}, "all of them printable"),
        ({"actions": []}, "The key needs something that it may do."),
        ({"actions": ["everything"]}, "everything"),
        ({"repositories": "a//b"}, "a//b"),
        ({"lifetime": "for ever"}, "The lifetime has to be a duration"),
        ({"lifetime": "-1d"}, "A key expires in the future, or never."),
    ],
)
def test_a_form_that_asks_for_no_key_says_why_and_keeps_what_was_typed(
    alice: Browser, fields: dict[str, str | list[str]], said: str
) -> None:
    refused = make(alice, **fields)

    assert refused.status == 400
    assert said in refused.text
    assert refused.form("/_keys").fields["name"] == [fields.get("name", "laptop")]


def test_a_name_of_markup_stays_text(alice: Browser) -> None:
    make(alice, name="<img src=x onerror=alert(1)>")

    assert "<img src=x" not in alice.get(KEYS).html
    assert "<img src=x onerror=alert(1)>" in alice.get(KEYS).text


def test_who_has_not_logged_in_is_asked_to(client: FlaskClient) -> None:
    assert Browser(client).get(KEYS, follow=False).location == "/ui/_login?next=%2Fui%2F_keys"


def test_where_there_are_no_keys_there_is_no_page_of_them(serve: Serve, htpasswd: Path) -> None:
    client = serve(ui={"enabled": True}, auth={"htpasswd": {"realm": "tests", "path": str(htpasswd)}})
    browser = Browser(client)

    home = browser.log_in("alice", "wonderland")

    assert KEYS not in home.links
    assert browser.get(KEYS).status == 404


def test_logging_out_everywhere_ends_the_sessions_of_all_browsers(alice: Browser, client: FlaskClient) -> None:
    phone = Browser(client.application.test_client())
    phone.log_in("alice", "wonderland")
    assert phone.get(KEYS, follow=False).status == 200

    everywhere = [form for form in alice.get(KEYS).forms if "everywhere" in form.buttons]
    alice.send(everywhere[0], everywhere="yes")

    assert phone.get(KEYS, follow=False).status == 303
    assert alice.get(KEYS, follow=False).status == 303
