"""A visitor sees on pages what the rules let it pull, as the API answers, and nothing of the rest, on any route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.services import build_services
from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.conftest import Configure

USERS: Final = {"alice": "wonderland", "ci": "machine"}
NAMES: Final = ("nginx", "team", "team/app", "team/app/base", "team/sub/tool", "other/app")
GLOBS: Final = ("**", "nginx", "team", "team/*", "team/**", "team/app/*", "other/**", "*")
SUBJECTS: Final = ("anonymous", "authenticated", "user:alice", "user:ci")
SECRET: Final = "what only those may read who may pull"

rules: Final = st.dictionaries(
    st.sampled_from(GLOBS), st.dictionaries(st.sampled_from(SUBJECTS), st.sampled_from([["pull"], []])), max_size=4
)
"""What subjects may do, by the glob of a rule."""


@pytest.fixture(scope="module")
def stored() -> InMemoryDriver:
    """Return a storage in which each repository has an image that nobody else has."""
    return InMemoryDriver()


def serve(configure: Configure, driver: InMemoryDriver, htpasswd: Path | None, given: Any = None) -> FlaskClient:
    sections: dict[str, Any] = {"ui": {"enabled": True}}
    if htpasswd:
        listed = [{"repositories": glob, **granted} for glob, granted in (given or {}).items()]
        sections["auth"] = {"local": {"htpasswd": str(htpasswd), "rules": listed}}
    return create_app(build_services(configure(**sections), driver=driver)).test_client()


@pytest.fixture
def digests(configuration: Configure, stored: InMemoryDriver) -> dict[str, str]:
    everybody = serve(configuration, stored, None)
    labels = {name: f'{{"config": {{"Labels": {{"of": "{SECRET} {name}"}}}}}}'.encode() for name in NAMES}
    return {name: str(push_image(everybody, name, "v1", config=config)) for name, config in labels.items()}


def may_pull(client: FlaskClient, name: str, user: str) -> bool:
    """Tell what the API answers."""
    auth = (user, USERS[user]) if user else None
    return client.get(f"/v2/{name}/tags/list", auth=auth).status_code == 200


def visit(client: FlaskClient, user: str) -> Browser:
    browser = Browser(client.application.test_client())
    if user:
        assert browser.log_in(user, USERS[user]).status == 200
    return browser


def found_in_tree(browser: Browser, path: str = "/ui/") -> Iterator[str]:
    """Yield the repositories with tags that links lead to from the home page, through every level."""
    page = browser.get(path, follow=False)
    below = {link for link in page.links if link.startswith(path) and link != path and not link[4:].startswith("_")}
    if f"{path}:v1" in below:
        yield path.removeprefix("/ui/")
    for link in sorted(each for each in below if ":" not in each and "@" not in each and "?" not in each):
        yield from found_in_tree(browser, link)


@settings(max_examples=25)
@given(given_rules=rules, user=st.sampled_from(["", *USERS]))
def test_the_tree_and_the_search_have_what_the_api_lets_the_visitor_pull(
    given_rules: Any,
    user: str,
    configuration: Configure,
    stored: InMemoryDriver,
    htpasswd: Path,
    digests: dict[str, str],
) -> None:
    client = serve(configuration, stored, htpasswd, given_rules)
    pulled = {name for name in digests if may_pull(client, name, user)}
    browser = visit(client, user)

    assert set(found_in_tree(browser)) == pulled
    searched = {link for word in ("nginx", "team", "other") for link in browser.get(f"/ui/_search?q={word}").links}
    assert searched & {f"/ui/{name}" for name in NAMES} == {f"/ui/{name}" for name in pulled}
    for name in NAMES:
        assert (browser.get(f"/ui/{name}:v1", follow=False).status == 200) == (name in pulled)


def paths_about(client: FlaskClient, name: str, digest: str) -> Iterator[str]:
    """Yield each path of a page that may tell something of a repository."""
    yield from (f"/ui/{name}", f"/ui/{name}:v1", f"/ui/{name}@{digest}")
    query = f"repository={name}&path={name}&reference=v1&digest={digest}&tag=v1&one=v1&other=v1&newest=v1"
    for rule in client.application.url_map.iter_rules():
        if rule.endpoint.startswith("web_") and not rule.arguments and "GET" in (rule.methods or ()):
            yield f"{rule.rule}?{query}"
    yield f"/ui/_compare?repository=nginx&one=v1&other=v1&with={name}"


@pytest.mark.parametrize("user", ["", "alice"])
def test_no_route_tells_a_repository_that_is_hidden_from_one_that_is_not_there(
    configuration: Configure, stored: InMemoryDriver, htpasswd: Path, digests: dict[str, str], user: str
) -> None:
    everybody = {"nginx": {"anonymous": ["pull"], "user:alice": ["pull"]}}
    client = serve(configuration, stored, htpasswd, everybody)
    browser = visit(client, user)
    hidden, absent = "other/app", "other/abc"

    for path in paths_about(client, hidden, digests[hidden]):
        shown = browser.get(path, follow=False)
        compared = browser.get(path.replace(hidden, absent), follow=False)
        assert SECRET not in shown.text, path
        assert shown.status == compared.status, path
        assert shown.text.replace(hidden, absent) == compared.text, path
        assert shown.location.replace("other%2Fapp", "other%2Fabc").replace(hidden, absent) == compared.location, path
