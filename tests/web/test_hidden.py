"""Each visitor sees on every page exactly what the API would give, and changes nothing beyond that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.services import build_services
from tests.auth.asking import basic
from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.conftest import Configure, Serve

UI: Final = {"enabled": True}
NAMES: Final = ("app", "app/base", "team/app", "team/app/base", "team/web")
USERS: Final = {"": None, "alice": "wonderland", "ci": "machine"}

rights = st.sampled_from(([], ["pull"], ["pull", "push"], ["pull", "delete"], ["pull", "push", "overwrite"], ["*"]))
globs = st.sampled_from(("**", "app", "app/**", "team/**", "team/app", "*/app", "team/app/**"))
rules = st.lists(
    st.fixed_dictionaries(
        {"repositories": globs}, optional={"anonymous": rights, "user:ci": rights, "user:alice": rights}
    ),
    max_size=4,
    unique_by=lambda rule: str(rule["repositories"]),
)
"""Rules of `auth: local`; who may push or delete may pull, as clients need that, and only who pushes overwrites."""


class Registry:
    """A registry with an image in each of NAMES, and these rules."""

    def __init__(self, configuration: Configure, htpasswd: Path, rules: list[dict[str, Any]]) -> None:
        self.driver = InMemoryDriver()
        everybody = create_app(build_services(configuration(), driver=self.driver)).test_client()
        for name in NAMES:
            push_image(everybody, name, "v1")
        local = {"htpasswd": str(htpasswd), "rules": rules}
        limited = configuration(ui=UI, auth={"local": local})
        self.app = create_app(build_services(limited, driver=self.driver))

    def browser(self, user: str) -> Browser:
        browser = Browser(self.app.test_client())
        if user:
            browser.log_in(user, USERS[user] or "")
        return browser

    def api(self, user: str, name: str) -> int:
        """Return the status of a pull by `user`."""
        headers = {"Authorization": basic(user, USERS[user] or "")} if user else {}
        return self.app.test_client().get(f"/v2/{name}/manifests/v1", headers=headers).status_code


@settings(max_examples=15)
@given(rules=rules)
def test_pages_show_what_the_api_gives_and_nothing_else(
    configuration: Configure, htpasswd: Path, rules: list[dict[str, Any]]
) -> None:
    registry = Registry(configuration, htpasswd, rules)
    for user in USERS:
        browser = registry.browser(user)
        visible = {name for name in NAMES if registry.api(user, name) == 200}
        for name in NAMES:
            page = browser.get(f"/ui/{name}:v1", follow=False)
            assert (page.status == 200) == (name in visible), (user, name)
            listed = browser.get(f"/ui/{name}", follow=False)
            nested = any(other.startswith(f"{name}/") for other in visible)
            assert (listed.status == 200) == (name in visible or nested), (user, name)
            assert (f"/ui/{name}:v1" in listed.links) == (name in visible), (user, name)
        assert _found(browser) == visible, user


def _found(browser: Browser) -> set[str]:
    """Return the repositories that a visitor finds who follows all links from the home page, once each."""
    waiting, seen, found = ["/ui/"], set(), set()
    while waiting:
        path = waiting.pop()
        page = browser.get(path)
        for link in page.links:
            tag = re.fullmatch(r"/ui/([a-z/]+):v1", link)
            if tag:
                found.add(tag[1])
            if link not in seen and re.fullmatch(r"/ui/[a-z/]+", link):
                seen.add(link)
                waiting.append(link)
    return found


_QUERIES: Final = (
    "/ui/{name}",
    "/ui/{name}:v1",
    "/ui/{name}@{digest}",
    "/ui/_referrers?repository={name}&digest={digest}",
    "/ui/_delete?repository={name}",
    "/ui/_delete?repository={name}&tag=v1",
    "/ui/_delete?repository={name}&digest={digest}",
    "/ui/_tag?repository={name}&reference=v1",
    "/ui/_copy?repository={name}&reference=v1",
    "/ui/_attached?repository={name}&digest={digest}",
    "/ui/_compare?repository={name}&one=v1&other=v1",
)


@pytest.fixture
def client(serve: Serve, htpasswd: Path) -> FlaskClient:
    push_image(serve(), "secret/app", "v1")
    rules = [{"repositories": "secret/**", "user:alice": ["*"]}, {"repositories": "**", "user:ci": ["*"]}]
    return serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})


@pytest.mark.parametrize("path", _QUERIES)
def test_what_a_visitor_may_not_pull_is_answered_as_what_is_not_there(
    serve: Serve, client: FlaskClient, path: str
) -> None:
    digest = serve().head("/v2/secret/app/manifests/v1").headers["Docker-Content-Digest"]
    browser = Browser(client)
    browser.log_in("ci", "machine")

    hidden, absent = (browser.get(path.format(name=name, digest=digest)) for name in ("secret/app", "secret/non"))

    assert hidden.status == absent.status == 404
    assert hidden.html.replace("secret/app", "secret/non") == absent.html


_FORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "/ui/_delete": {"tag": "v1"},
    "/ui/_delete#digest": {"digest": "{digest}"},
    "/ui/_delete#all": {"confirm": "{name}"},
    "/ui/_tag": {"digest": "{digest}", "tag": "v2"},
    "/ui/_copy": {"digest": "{digest}", "target": "mine", "tag": "v1"},
}


@pytest.mark.parametrize("path", _FORMS)
def test_a_form_about_what_a_visitor_may_not_pull_is_answered_as_one_about_nothing(
    serve: Serve, client: FlaskClient, path: str
) -> None:
    digest = serve().head("/v2/secret/app/manifests/v1").headers["Docker-Content-Digest"]
    browser = Browser(client)
    token = browser.log_in("ci", "machine").form("/_logout").fields["token"]

    answers = []
    for name in ("secret/app", "secret/non"):
        fields = {field: text.format(name=name, digest=digest) for field, text in _FORMS[path].items()}
        answers.append(browser.post(path.partition("#")[0], {"repository": name, "token": token, **fields}))

    hidden, absent = answers
    assert hidden.status == absent.status == 404
    assert hidden.html.replace("secret/app", "secret/non") == absent.html
    assert serve().get("/v2/secret/app/tags/list").get_json()["tags"] == ["v1"]
