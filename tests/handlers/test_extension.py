"""What is told below ``_registry/`` of what is in a registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.browsing import search as searching
from registry.browsing.repository import MOST_SORTED
from registry.browsing.shapes import TagRow, TagsPage
from registry.config.values import Extensions, Plugin
from registry.handlers.current import EXTENSION
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import descriptor, image
from tests.handlers.pushing import error_of, push_blob, push_image, push_manifest
from tests.handlers.test_access import ALICE, CI, application, ask, push

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.conftest import Serve

ON: dict[str, Any] = {"secret": "a secret", "extensions": {"enabled": True}}
NAMES: Final = ("a", "a/b", "a/b/c", "a-b", "team/app", "team/app/deep", "team/web", "z/y/x")
GLOBS: Final = ("**", "a", "a/**", "a/b", "team/**", "team/*", "team/app", "z/**")
ACTIONS: Final = st.sampled_from([["pull"], ["*"], []])


@pytest.fixture
def client(serve: Serve) -> FlaskClient:
    return serve(http=ON)


def tell(client: FlaskClient, path: str, who: str | None = None) -> dict[str, Any]:
    answer = ask(client, "GET", path, who)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == media_types.JSON
    document: dict[str, Any] = answer.get_json()
    return document


def pages(client: FlaskClient, path: str, member: str, who: str | None = None) -> list[list[dict[str, Any]]]:
    """Return the entries of each page that the links lead to."""
    found = []
    while path:
        answer = ask(client, "GET", path, who)
        assert answer.status_code == 200, answer.text
        found.append(answer.get_json()[member])
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    return found


def sorted_names() -> list[str]:
    """Return NAMES in the order of the catalog."""
    return sorted(NAMES, key=lambda name: name.split("/"))


def push_with_history(client: FlaskClient, name: str, tag: str) -> Digest:
    history = b'"history":[{"created_by":"COPY a <b>"}],"config":{"Labels":{"x":"<"}}'
    config = b'{"os":"linux","architecture":"arm64",' + history + b"}"
    push_blob(client, name, config)
    push_blob(client, name, b"layer")
    return push_manifest(client, name, tag, image(config, b"layer"), content_type=media_types.OCI_MANIFEST)


class TestTree:
    @pytest.fixture
    def client(self, client: FlaskClient) -> FlaskClient:
        for name in NAMES:
            push_image(client, name, "v1")
        return client

    def test_a_level_has_repositories_and_what_others_are_nested_in(self, client: FlaskClient) -> None:
        assert tell(client, "/v2/_registry/tree") == {
            "path": "",
            "children": [
                {"name": "a", "is_repository": True, "has_nested": True},
                {"name": "a-b", "is_repository": True, "has_nested": False},
                {"name": "team", "is_repository": False, "has_nested": True},
                {"name": "z", "is_repository": False, "has_nested": True},
            ],
            "cut": False,
        }
        below = tell(client, "/v2/_registry/tree?path=team")
        assert [each["name"] for each in below["children"]] == ["team/app", "team/web"]

    def test_a_level_comes_in_pages(self, client: FlaskClient) -> None:
        found = pages(client, "/v2/_registry/tree?n=1&path=a", "children")

        assert [[each["name"] for each in page] for page in found] == [["a/b"]]
        found = pages(client, "/v2/_registry/tree?n=3", "children")
        assert [[each["name"] for each in page] for page in found] == [["a", "a-b", "team"], ["z"]]

    @pytest.mark.parametrize("query", ["path=A//b", "path=..", "n=0", "n=-1", "n=x"])
    def test_what_is_malformed_is_refused(self, client: FlaskClient, query: str) -> None:
        assert error_of(client.get(f"/v2/_registry/tree?{query}"))[0] == 400


class TestTags:
    def test_a_page_tells_what_each_tag_leads_to(self, client: FlaskClient) -> None:
        digest = push_with_history(client, "a/b", "v1")
        assert push_with_history(client, "a/b", "latest") == digest

        told = tell(client, "/v2/a/b/_registry/tags/list")

        pushed = [each.pop("pushed") for each in told["tags"]]
        assert all(isinstance(each, float) for each in pushed)
        row = {"digest": str(digest), "media_type": media_types.OCI_MANIFEST, "platforms": ["linux/arm64"]}
        sizes = {each.pop("size") for each in told["tags"]}
        assert len(sizes) == 1
        assert told == {
            "name": "a/b",
            "sort": "name",
            "total": 2,
            "tags": [{"name": "latest", **row, "aliases": ["v1"]}, {"name": "v1", **row, "aliases": ["latest"]}],
        }

    def test_tags_come_in_pages_in_the_order_that_is_asked_for(self, client: FlaskClient) -> None:
        for number in (10, 9, 1):
            push_image(client, "a/b", f"v{number}", annotations={"longer": "x" * number * 100})

        for sort, expected in (("name", [1, 9, 10]), ("-size", [10, 9, 1]), ("size", [1, 9, 10])):
            found = pages(client, f"/v2/a/b/_registry/tags/list?n=2&sort={sort}", "tags")
            assert [[each["name"] for each in page] for page in found] == [
                [f"v{number}" for number in expected[:2]],
                [f"v{expected[2]}"],
            ]

    @pytest.mark.parametrize("sort", ["name", "-pushed"])
    def test_an_index_is_asked_for_more_tags_than_are_sorted_and_the_storage_for_fewer(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, sort: str
    ) -> None:
        class Index:
            def tags(self, repository: str, sort: str, after: str, limit: int) -> TagsPage:
                total = MOST_SORTED + 1 if repository == "a/b" else MOST_SORTED
                return TagsPage((TagRow(f"{after}{limit}", None),), None, total, sort)

        services = client.application.extensions[EXTENSION]
        monkeypatch.setitem(client.application.extensions, EXTENSION, replace(services, index=Index()))
        for name in ("a/b", "c/d"):
            push_image(client, name, "v1")

        many = tell(client, f"/v2/a/b/_registry/tags/list?sort={sort}&last=x&n=1")
        few = tell(client, f"/v2/c/d/_registry/tags/list?sort={sort}")

        assert [each["name"] for each in many["tags"]] == ["x1"]
        assert (many["sort"], many["total"]) == (sort, MOST_SORTED + 1)
        assert [each["name"] for each in few["tags"]] == ["v1"]

    def test_there_has_to_be_such_a_repository(self, client: FlaskClient) -> None:
        assert error_of(client.get("/v2/a/b/_registry/tags/list")) == (404, "NAME_UNKNOWN")
        assert error_of(client.get("/v2/a/b/_registry/tags/list?sort=age")) == (400, "UNSUPPORTED")


class TestDetails:
    def test_history_and_config_are_told_of_a_tag_and_of_a_digest(self, client: FlaskClient) -> None:
        digest = push_with_history(client, "a/b", "v1")

        by_tag = tell(client, "/v2/a/b/_registry/manifests/details?reference=v1")
        by_digest = tell(client, f"/v2/a/b/_registry/manifests/details?reference={digest}")

        assert by_tag["tag"] == "v1"
        assert by_tag["digest"] == by_digest["digest"] == str(digest)
        assert by_tag["steps"][0]["instruction"] == "COPY a <b>"
        assert by_tag["steps"][0]["layer"]["digest"] == str(Digest.of(b"layer"))
        assert by_tag["labels"] == {"x": "<"}
        assert by_tag["config"]["architecture"] == "arm64"
        assert not {"raw", "raw_config"} & by_tag.keys()

    @pytest.mark.parametrize("reference", ["nothing", f"sha256:{'0' * 64}"])
    def test_what_is_not_there_is_unknown(self, client: FlaskClient, reference: str) -> None:
        push_image(client, "a/b", "v1")

        path = f"/v2/a/b/_registry/manifests/details?reference={reference}"
        assert error_of(client.get(path)) == (404, "MANIFEST_UNKNOWN")

    def test_a_reference_has_to_be_given(self, client: FlaskClient) -> None:
        assert error_of(client.get("/v2/a/b/_registry/manifests/details"))[0] == 400


def test_what_refers_to_a_manifest_is_told_as_a_tree(client: FlaskClient) -> None:
    digest = push_image(client, "a/b", "v1")
    signature = image(subject=descriptor(image(), media_types.OCI_MANIFEST), artifactType="application/spdx+json")
    push_manifest(client, "a/b", str(Digest.of(signature)), signature, content_type=media_types.OCI_MANIFEST)
    of_it = image(subject=descriptor(signature, media_types.OCI_MANIFEST), artifactType="application/x.note")
    push_manifest(client, "a/b", str(Digest.of(of_it)), of_it, content_type=media_types.OCI_MANIFEST)

    told = tell(client, f"/v2/a/b/_registry/referrers/tree?digest={digest}")

    (root,) = told["roots"]
    assert (root["digest"], root["kind"], told["cut"]) == (str(Digest.of(signature)), "sbom", False)
    assert [each["digest"] for each in root["nested"]] == [str(Digest.of(of_it))]
    assert error_of(client.get("/v2/a/b/_registry/referrers/tree"))[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v2/_registry/tree",
        "/v2/_registry/search/repositories?q=a",
        "/v2/a/b/_registry/compare?from=v1&to=v1",
        "/v2/a/b/_registry/tags/list",
        "/v2/a/b/_registry/manifests/details?reference=v1",
        f"/v2/a/b/_registry/referrers/tree?digest={Digest.of(image())}",
    ],
)
def test_head_options_and_other_methods_are_answered_as_elsewhere(client: FlaskClient, path: str) -> None:
    push_image(client, "a/b", "v1")
    whole = client.get(path)

    head = client.head(path)

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert client.options(path).status_code == 204
    assert error_of(client.post(path)) == (405, "UNSUPPORTED")


def test_nothing_of_it_is_there_where_extensions_are_off(serve: Serve) -> None:
    client = serve()
    push_image(client, "a/b", "v1")

    assert client.get("/v2/_registry/tree").status_code == 404
    assert error_of(client.get("/v2/a/b/_registry/tags/list")) == (400, "NAME_INVALID")


@pytest.mark.parametrize("path", ["_oci/ext/discover", f"_registry/referrers/tree?digest={Digest.of(image())}"])
def test_of_a_repository_that_is_not_there_nothing_is_told(client: FlaskClient, path: str) -> None:
    assert error_of(client.get(f"/v2/nothere/{path}")) == (404, "NAME_UNKNOWN")


class TestSearch:
    @pytest.fixture
    def client(self, client: FlaskClient) -> FlaskClient:
        for name in NAMES:
            push_image(client, name, "v1")
        return client

    def test_repositories_are_found_by_a_part_of_their_names(self, client: FlaskClient) -> None:
        assert tell(client, "/v2/_registry/search/repositories?q=team+app") == {
            "complete": True,
            "results": [{"repository": "team/app", "tag": ""}, {"repository": "team/app/deep", "tag": ""}],
        }

    def test_what_is_found_comes_in_pages(self, client: FlaskClient) -> None:
        found = pages(client, "/v2/_registry/search/repositories?q=a&n=3", "results")

        assert [len(page) for page in found] == [3, 3, 1]
        assert [each["repository"] for page in found for each in page] == [
            name for name in sorted_names() if "a" in name
        ]

    def test_without_an_index_only_the_first_names_are_looked_at_and_the_answer_says_so(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "_LOOKED_AT", 2)

        answer = client.get("/v2/_registry/search/repositories?q=team")

        assert answer.json == {"complete": False, "results": []}
        assert "Link" not in answer.headers

    def test_a_search_that_has_looked_at_every_name_says_so_however_many_it_may_look_at(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "_LOOKED_AT", len(NAMES))

        assert tell(client, "/v2/_registry/search/repositories?q=web")["complete"] is True

    @pytest.mark.parametrize(("text", "found"), [("web:v1", ["team/web"]), (":v1", [])])
    def test_without_an_index_no_tags_are_looked_for_and_the_answer_says_so(
        self, client: FlaskClient, text: str, found: list[str]
    ) -> None:
        told = tell(client, f"/v2/_registry/search/repositories?q={text}")

        assert [each["repository"] for each in told["results"]] == found
        assert told["complete"] is False

    def test_a_storage_that_is_slow_is_not_looked_at_to_the_end(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "_SECONDS", -1.0)

        assert client.get("/v2/_registry/search/repositories?q=team").json == {"complete": False, "results": []}

    @pytest.mark.parametrize("query", ["", "q=", "q=+", f"q={'x' * 256}", "q=a&n=0"])
    def test_a_text_has_to_be_given(self, client: FlaskClient, query: str) -> None:
        assert error_of(client.get(f"/v2/_registry/search/repositories?{query}"))[0] == 400


def test_two_manifests_are_compared(client: FlaskClient) -> None:
    push_blob(client, "a/b", b"base")
    push_blob(client, "a/b", b"new")
    push_blob(client, "a/b", b"{}")
    for tag, layers in (("v1", [b"base"]), ("v2", [b"base", b"new"])):
        push_manifest(client, "a/b", tag, image(b"{}", *layers), content_type=media_types.OCI_MANIFEST)

    told = tell(client, "/v2/a/b/_registry/compare?from=v1&to=v2")

    assert [each["digest"] for each in told["layers"]["base"]] == [str(Digest.of(b"base"))]
    assert [each["digest"] for each in told["layers"]["added"]] == [str(Digest.of(b"new"))]
    assert (told["before"]["tag"], told["after"]["tag"]) == ("v1", "v2")
    unknown = client.get("/v2/a/b/_registry/compare?from=v1&to=nothing")
    assert error_of(unknown) == (404, "MANIFEST_UNKNOWN")
    assert error_of(client.get("/v2/a/b/_registry/compare?from=v1"))[0] == 400


class Guarded:
    """A registry with an image in each of NAMES, in which ``ci`` may do what `rules` say, and ``alice`` all."""

    def __init__(self, htpasswd: Path, rules: dict[str, list[str]]) -> None:
        granted: dict[str, dict[str, list[str]]] = {"**": {}}
        granted |= {glob: {"user:ci": actions} if actions else {} for glob, actions in rules.items()}
        written = [{"repositories": glob, "user:alice": ["*"], **more} for glob, more in granted.items()]
        auth = Plugin("local", {"htpasswd": str(htpasswd), "rules": written})
        self.client = application(auth, extensions=Extensions(enabled=True)).test_client()
        for name in NAMES:
            assert push(self.client, name, "v1", ALICE).status_code == 201

    def tree(self, path: str = "") -> set[str]:
        """Return the repositories that are found by going down the tree, which has no level without any."""
        (children,) = pages(self.client, f"/v2/_registry/tree?path={path}", "children", CI)
        found = {each["name"] for each in children if each["is_repository"]}
        for each in children:
            below = self.tree(each["name"]) if each["has_nested"] else set()
            assert below or not each["has_nested"]
            assert each["is_repository"] or each["has_nested"]
            found |= below
        return found


@pytest.fixture(scope="module")
def htpasswd_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("auth") / "htpasswd"
    users = {"alice": "wonderland", "ci": "machine"}
    hashed = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode() for user, word in users.items()}
    path.write_text("".join(f"{user}:{each}\n" for user, each in hashed.items()))
    return path


@settings(max_examples=25)
@given(rules=st.dictionaries(st.sampled_from(GLOBS), ACTIONS, max_size=3))
def test_a_user_is_told_of_what_the_api_itself_grants_and_of_nothing_else(
    htpasswd_of_all: Path, rules: dict[str, list[str]]
) -> None:
    guarded = Guarded(htpasswd_of_all, rules)
    client = guarded.client
    listed = set(tell(client, "/v2/_catalog", CI)["repositories"])

    assert guarded.tree() == listed
    for word in ("a", "e", "/"):
        found = pages(client, f"/v2/_registry/search/repositories?n=2&q={word}", "results", CI)
        assert [each["repository"] for page in found for each in page] == [
            name for name in sorted_names() if word in name and name in listed
        ]
    for name in NAMES:
        granted = ask(client, "GET", f"/v2/{name}/manifests/v1", CI).status_code
        assert granted == (200 if name in listed else 403)
        digest = ask(client, "HEAD", f"/v2/{name}/manifests/v1", ALICE).headers["Docker-Content-Digest"]
        for path in (
            "tags/list",
            "compare?from=v1&to=v1",
            "manifests/details?reference=v1",
            f"referrers/tree?digest={digest}",
        ):
            assert ask(client, "GET", f"/v2/{name}/_registry/{path}", CI).status_code == granted
