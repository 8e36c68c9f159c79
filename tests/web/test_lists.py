"""What pages show of the index, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.handlers.pushing import push_blob, push_image
from tests.index.hosts import Host
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Serve


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def client(serve: Serve, htpasswd: Path, directory: Path) -> FlaskClient:
    """Serve pages that have an index to look into, of which nothing is made yet."""
    everybody = serve()
    for name in ("nginx", "secret", "team/app"):
        push_image(everybody, name, "v1", "nightly")
    push_image(everybody, "team/big", "v2", config=b'{"padding": "%s"}' % (b"x" * 5000))
    push_blob(everybody, "team/big", b"a blob of no image")
    rules = [{"repositories": "**", "user:alice": ["pull"]}, {"repositories": "team/**", "anonymous": ["pull"]}]
    return serve(
        ui={"enabled": True, "index": {"directory": str(directory)}},
        auth={"local": {"htpasswd": str(htpasswd), "rules": rules}},
    )


@pytest.fixture
def indexed(client: FlaskClient, driver: InMemoryDriver, directory: Path) -> FlaskClient:
    Host(directory, driver).catch_up()
    return client


def rows(browser: Browser, path: str) -> list[str]:
    """Return where the rows of a list lead, in their order."""
    page = browser.get(path)
    assert page.status == 200
    places = [link.removeprefix("/ui/") for link in page.links if link.startswith("/ui/")]
    return [place for place in places if place[:1].isalpha()]


def test_the_home_page_lists_what_the_visitor_may_pull_by_size_and_by_push(indexed: FlaskClient) -> None:
    stranger, alice = Browser(indexed), Browser(indexed.application.test_client())
    alice.log_in("alice", "wonderland")

    assert rows(stranger, "/ui/?sort=-size") == ["team/big", "team/app"]
    assert rows(alice, "/ui/?sort=-size")[0] == "team/big"
    assert rows(alice, "/ui/?sort=-pushed")[0] == "team/big"
    assert sorted(rows(alice, "/ui/?sort=name")) == ["nginx", "secret", "team/app", "team/big"]


def test_a_search_finds_tags_too(indexed: FlaskClient) -> None:
    stranger, alice = Browser(indexed), Browser(indexed.application.test_client())
    alice.log_in("alice", "wonderland")

    assert rows(stranger, "/ui/_search?q=nightly") == ["team/app:nightly"]
    assert rows(alice, "/ui/_search?q=ecre") == ["secret"]


def test_before_the_index_is_made_the_page_says_so_and_the_search_looks_at_names(client: FlaskClient) -> None:
    stranger = Browser(client)

    assert rows(stranger, "/ui/?sort=-size") == ["team"]
    assert "The index of this host is being made" in stranger.get().text
    assert rows(stranger, "/ui/_search?q=big") == ["team/big"]
