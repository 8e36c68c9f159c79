"""The pages that delete: they ask first, say what will happen, and do no more than they said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.storage import paths
from tests.handlers.pushing import push_image
from tests.web.images import push_whole_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Serve

UI = {"enabled": True}


def _tags(client: FlaskClient, name: str = "app") -> list[str]:
    """Return the tags that the API lists; none where there is no such repository."""
    answer = client.get(f"/v2/{name}/tags/list")
    return answer.get_json()["tags"] if answer.status_code == 200 else []


def _rules(htpasswd: Path, *rights: str) -> dict[str, Any]:
    return {"local": {"htpasswd": str(htpasswd), "rules": [{"repositories": "**", "user:ci": ["pull", *rights]}]}}


def test_tags_that_are_ticked_go_after_a_question_and_the_others_stay(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1", "v2", "v3")
    browser = Browser(client)

    question = browser.send(browser.get("/ui/app").form("/_delete"), tag=["v1", "v3"])
    assert "Delete 2 tags of app?" in question.text
    assert _tags(client) == ["v1", "v2", "v3"]

    done = browser.send(question.form("/_delete"))
    assert done.status == 200
    assert _tags(client) == ["v2"]
    assert client.head(f"/v2/app/manifests/{digest}").status_code == 200


def test_the_question_says_which_manifests_lose_their_last_tag_and_how_large_they_are(serve: Serve) -> None:
    client = serve(ui=UI)
    push_whole_image(client, "app", "v1", "v2")
    push_image(client, "app", "kept", "other")
    browser = Browser(client)

    one = browser.get("/ui/_delete?repository=app&tag=kept")
    both = browser.get("/ui/_delete?repository=app&tag=v1&tag=v2")

    assert "left without a tag" not in one.text
    assert "other" in one.text
    assert "1 manifest is left without a tag: " in both.text


def test_the_question_says_where_each_tag_leads(serve: Serve) -> None:
    client = serve(ui=UI)
    one, other = push_image(client, "app", "v1"), push_image(client, "app", "v2", config=b'{"a": 1}')

    form = Browser(client).get("/ui/_delete?repository=app&tag=v1&tag=v2").form("/_delete")

    assert (form.fields["seen:v1"], form.fields["seen:v2"]) == ([str(one)], [str(other)])


def test_nothing_ticked_is_told(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")
    browser = Browser(client)

    assert "No tag is chosen" in browser.send(browser.get("/ui/app").form("/_delete")).text


def test_a_tag_that_was_pushed_again_since_the_question_stays(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1", "v2")
    browser = Browser(client)
    question = browser.get("/ui/_delete?repository=app&tag=v1&tag=v2")
    new = push_image(client, "app", "v1", config=b'{"a": 1}')

    done = browser.send(question.form("/_delete"))

    assert done.status == 409
    assert f"kept: it leads to {new} by now" in done.text
    assert _tags(client) == ["v1"]


def test_a_tag_that_is_gone_already_is_no_error(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1", "v2")
    browser = Browser(client)
    question = browser.get("/ui/_delete?repository=app&tag=v1")
    client.delete("/v2/app/manifests/v1")

    assert browser.send(question.form("/_delete")).status == 200


def test_a_tag_that_leads_nowhere_can_be_deleted(serve: Serve, driver: InMemoryDriver) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1")
    push_image(client, "app", "v2", config=b'{"a": 1}')
    driver.delete(paths.revision_link("app", digest))
    browser = Browser(client)

    done = browser.send(browser.get("/ui/_delete?repository=app&tag=v1").form("/_delete"))

    assert done.status == 200
    assert _tags(client) == ["v2"]


def test_a_manifest_goes_with_the_tags_that_the_question_names(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1", "v2")
    push_image(client, "app", "kept", config=b'{"a": 1}')
    browser = Browser(client)
    page = browser.get(f"/ui/app@{digest}")

    question = browser.get(next(link for link in page.links if "/_delete" in link))
    assert "2 tags lead to it and go too: v1, v2" in question.text

    assert browser.send(question.form("/_delete")).status == 200
    assert _tags(client) == ["kept"]
    assert client.head(f"/v2/app/manifests/{digest}").status_code == 404


def test_a_repository_goes_when_its_name_was_typed_and_those_nested_in_it_stay(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "team/app", "v1")
    push_image(client, "team/app/base", "v1")
    browser = Browser(client)
    question = browser.get(next(link for link in browser.get("/ui/team/app").links if "/_delete" in link))

    wrong = browser.send(question.form("/_delete"), confirm="team")
    assert wrong.status == 400
    assert "Nothing was deleted" in wrong.text
    assert _tags(client, "team/app") == ["v1"]

    done = browser.send(wrong.form("/_delete"), confirm="team/app", follow=False)
    assert done.status == 303
    assert _tags(client, "team/app") == []
    assert _tags(client, "team/app/base") == ["v1"]


@pytest.mark.parametrize(
    "query", ["", "repository=absent", "repository=app&digest=sha256:" + "0" * 64, "repository=app&tag=%3Cb%3E"]
)
def test_a_question_about_what_is_not_there_is_an_error(serve: Serve, query: str) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")

    assert Browser(client).get(f"/ui/_delete?{query}").status in {400, 404}


@pytest.mark.parametrize("what", ["tag=v1", "digest={digest}", "what=all"])
@pytest.mark.parametrize("rights", [(), ("push",), ("push", "overwrite")])
def test_who_may_not_delete_is_refused(serve: Serve, htpasswd: Path, rights: tuple[str, ...], what: str) -> None:
    digest = push_image(serve(), "app", "v1")
    browser = Browser(serve(ui=UI, auth=_rules(htpasswd, *rights)))
    token = browser.log_in("ci", "machine").form("/_logout").fields["token"]
    name, _, value = what.format(digest=digest).partition("=")
    form = {"repository": "app", "token": token, "confirm": "app", name: value}

    assert browser.get(f"/ui/_delete?repository=app&{name}={value}").status == 403
    assert browser.post("/ui/_delete", form).status == 403
    assert _tags(serve()) == ["v1"]


def test_tags_that_the_rules_keep_stay_and_manifests_without_tags_go(serve: Serve, htpasswd: Path) -> None:
    tagged = push_image(serve(), "app", "v1")
    untagged = push_image(serve(), "app", config=b'{"a": 1}')
    browser = Browser(serve(ui=UI, auth=_rules(htpasswd, "push", "delete")))
    token = browser.log_in("ci", "machine").form("/_logout").fields["token"]

    assert browser.get("/ui/_delete?repository=app&tag=v1").status == 403
    kept = browser.get(f"/ui/_delete?repository=app&digest={tagged}")
    assert "The rules do not let you take tags away here" in kept.text
    refused = browser.post("/ui/_delete", {"repository": "app", "digest": str(tagged), "token": token})
    assert refused.status == 403
    assert _tags(serve()) == ["v1"]
    assert browser.send(browser.get(f"/ui/_delete?repository=app&digest={untagged}").form("/_delete")).status == 200
    assert serve().head(f"/v2/app/manifests/{untagged}").status_code == 404


@pytest.mark.parametrize(
    "storage",
    [
        {"maintenance": {"readonly": {"enabled": True}}, "delete": {"enabled": True}},
        {"delete": {"enabled": False}},
    ],
)
@pytest.mark.parametrize("what", [{"tag": "v1"}, {"confirm": "app"}])
def test_nothing_is_deleted_where_deletion_is_off(serve: Serve, storage: dict[str, Any], what: dict[str, str]) -> None:
    push_image(serve(), "app", "v1")
    # Both registries have one secret, so that a form of the one is known to the other.
    browser = Browser(serve(ui=UI))
    token = browser.get("/ui/_delete?repository=app&tag=v1").form("/_delete").fields["token"]
    browser.client.application.extensions.update(
        serve(ui=UI, storage={"inmemory": {}, **storage}).application.extensions
    )

    assert browser.get("/ui/_delete?repository=app&tag=v1").status == 405
    assert browser.post("/ui/_delete", {"repository": "app", "token": token, **what}).status == 405
    assert _tags(serve()) == ["v1"]


def test_a_repository_that_may_not_be_pulled_is_answered_as_one_that_is_not_there(serve: Serve, htpasswd: Path) -> None:
    push_image(serve(), "app", "v1")
    rules = [{"repositories": "app", "user:ci": ["delete"]}]
    browser = Browser(serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}}))
    browser.log_in("ci", "machine")

    assert browser.get("/ui/_delete?repository=app&tag=v1").status == 404


def test_no_more_tags_go_at_a_time_than_a_page_has(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")
    many = "".join(f"&tag=v{number}" for number in range(201))

    assert Browser(client).get(f"/ui/_delete?repository=app{many}").status == 400
