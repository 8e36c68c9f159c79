"""The page that copies a manifest to another repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.handlers.pushing import push_image
from tests.web.images import LAYERS, push_artifact, push_whole_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from registry.oci.digest import Digest
    from tests.conftest import Serve
    from tests.web.visiting import Form

UI = {"enabled": True}


def _form(browser: Browser, reference: object = "v1") -> Form:
    return browser.get(f"/ui/_copy?repository=team/app&reference={reference}").form("/_copy")


def _leads_to(client: FlaskClient, name: str, reference: str) -> str | None:
    return client.head(f"/v2/{name}/manifests/{reference}").headers.get("Docker-Content-Digest")


def test_an_image_is_copied_with_its_layers_and_what_refers_to_it(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "team/app", "v1")
    signature = push_artifact(client, "team/app", "application/vnd.example.signature", digest)
    browser = Browser(client)

    page = browser.send(_form(browser), target="released/app", follow=False)

    assert (page.status, page.location) == (303, "/ui/released/app:v1")
    assert _leads_to(client, "released/app", "v1") == str(digest)
    assert _leads_to(client, "released/app", str(signature)) == str(signature)
    layers = client.get(f"/v2/released/app/manifests/{digest}").get_json(force=True)["layers"]
    answers = [client.get(f"/v2/released/app/blobs/{layer['digest']}").data for layer in layers]
    assert answers == list(LAYERS)


def test_it_is_copied_alone_where_nobody_wants_the_rest(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "team/app", "v1")
    signature = push_artifact(client, "team/app", "application/vnd.example.signature", digest)
    browser = Browser(client)
    form = _form(browser, digest)
    del form.fields["referrers"]

    page = browser.send(form, target="released/app", tag="v2", follow=False)

    assert page.status == 303
    assert _leads_to(client, "released/app", "v2") == str(digest)
    assert _leads_to(client, "released/app", str(signature)) is None


def test_what_refers_to_an_image_follows_one_that_was_copied_before(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "team/app", "v1")
    browser = Browser(client)
    browser.send(_form(browser), target="released/app")
    signature = push_artifact(client, "team/app", "application/vnd.example.signature", digest)

    assert browser.send(_form(browser), target="released/app", follow=False).status == 303

    assert _leads_to(client, "released/app", str(signature)) == str(signature)


def test_a_tag_of_the_target_that_leads_elsewhere_moves_after_a_question(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "team/app", "v1")
    old = push_image(client, "released/app", "v1")
    browser = Browser(client)

    asked = browser.send(_form(browser), target="released/app")
    assert asked.status == 409
    assert f"leads to {old.hex[:12]} now" in asked.text
    assert _leads_to(client, "released/app", "v1") == str(old)

    assert browser.send(asked.form("/_copy"), follow=False).status == 303
    assert _leads_to(client, "released/app", "v1") == str(digest)


def test_the_page_of_an_error_says_which_digest_is_meant(serve: Serve) -> None:
    client = serve(ui=UI, storage={"inmemory": {}, "delete": {"enabled": True}})
    digest = push_whole_image(client, "team/app", "v1")
    browser = Browser(client)
    form = _form(browser)
    assert client.delete(f"/v2/team/app/manifests/{digest}").status_code == 202

    page = browser.send(form, target="released/app")

    assert page.status == 404
    assert str(digest) in page.text


@pytest.mark.parametrize(
    ("target", "tag"), [("", "v1"), ("Not/A name", "v1"), ("released/app", ""), ("released/app", "a b"), ("<b>", "v1")]
)
def test_what_is_no_name_or_tag_is_asked_for_again(serve: Serve, target: str, tag: str) -> None:
    client = serve(ui=UI)
    push_whole_image(client, "team/app", "v1")
    browser = Browser(client)

    page = browser.send(_form(browser), target=target, tag=tag)

    assert page.status == 400
    assert page.form("/_copy").fields["target"] == [target]


def test_who_may_not_push_to_the_target_is_told_which_rule_says_so(serve: Serve, htpasswd: Path) -> None:
    push_whole_image(serve(), "team/app", "v1")
    rules = [
        {"repositories": "team/**", "user:ci": ["pull"]},
        {"repositories": "released/**", "user:ci": ["pull"]},
    ]
    browser = Browser(serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}}))
    browser.log_in("ci", "machine")

    page = browser.send(_form(browser), target="released/app")

    assert page.status == 403
    assert "ci may not push released/app: rule 2 (released/**) does not grant it" in page.text.lower()
    assert _leads_to(serve(), "released/app", "v1") is None


def test_who_may_not_pull_copies_nothing(serve: Serve, htpasswd: Path) -> None:
    digest: Digest = push_whole_image(serve(), "secret/app", "v1")
    rules = [{"repositories": "mine/**", "user:ci": ["*"]}]
    browser = Browser(serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}}))
    token = browser.log_in("ci", "machine").form("/_logout").fields["token"]
    form = {"repository": "secret/app", "digest": str(digest), "target": "mine/app", "tag": "v1", "token": token}

    assert browser.get("/ui/_copy?repository=secret/app&reference=v1").status == 404
    assert browser.post("/ui/_copy", form).status == 404
    assert _leads_to(serve(), "mine/app", "v1") is None


@pytest.mark.parametrize(
    "sections",
    [
        {"storage": {"inmemory": {}, "maintenance": {"readonly": {"enabled": True}}}},
        {"proxy": {"remoteurl": "http://127.0.0.1:9"}},
    ],
)
def test_a_registry_that_takes_no_pushes_offers_no_copy(serve: Serve, sections: dict[str, Any]) -> None:
    push_whole_image(serve(), "team/app", "v1")
    browser = Browser(serve(ui=UI, **sections))

    assert not [link for link in browser.get("/ui/team/app:v1").links if "_copy" in link]
    assert browser.get("/ui/_copy?repository=team/app&reference=v1").status == 405


def test_a_copy_is_offered_to_whoever_has_logged_in_and_to_others_who_may_push(serve: Serve, htpasswd: Path) -> None:
    for name in ("team/app", "sandbox/app"):
        push_whole_image(serve(), name, "v1")
    rules = [
        {"repositories": "team/**", "anonymous": ["pull"], "authenticated": ["pull"]},
        {"repositories": "sandbox/**", "anonymous": ["pull", "push"]},
    ]
    client = serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})
    stranger, ci = Browser(client), Browser(client.application.test_client())
    ci.log_in("ci", "machine")

    def offered(browser: Browser, name: str) -> bool:
        return any("_copy" in link for link in browser.get(f"/ui/{name}:v1").links)

    assert not offered(stranger, "team/app")
    assert "_login" in stranger.get("/ui/_copy?repository=team/app&reference=v1", follow=False).location
    assert offered(stranger, "sandbox/app")
    assert offered(ci, "team/app")
    assert ci.get("/ui/_copy?repository=team/app&reference=v1").status == 200
