"""Registries that answer what no registry should."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from registry.foundation.found_digests import FoundDigests
from registry.inventory.login import Credentials, Session
from registry.inventory.remote import RemoteSource
from registry.inventory.source import InventoryError, NotThereError, OnlyManifestsError
from registry.inventory.walking import walk
from registry.oci.digest import Digest
from tests.content import ABSENT, image, index

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = image(b"{}", b"layer")
DIGEST = Digest.of(MANIFEST)
PASSWORD = Credentials("alice", "secret")


@dataclass
class Answers:
    """Answers a path with what is there under it, by method and path; notes what was asked, with its Authorization."""

    url: str = ""
    by: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def add(self, request: str, body: object = b"", status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.by[request] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, content)

    def source(self, credentials: Credentials | None = None) -> RemoteSource:
        return RemoteSource(Session(self.url, credentials, None))


@pytest.fixture
def answers() -> Iterator[Answers]:
    state = Answers()
    with _serving(state):
        yield state


@contextmanager
def _serving(state: Answers) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            request = f"{self.command} {self.path}"
            length = int(self.headers.get("Content-Length", "0"))
            state.asked.append((request, self.headers.get("Authorization", "") or self.rfile.read(length).decode()))
            status, headers, body = state.by.get(request, (404, {}, b"{}"))
            if status == 401 and self.headers.get("Authorization") in {"Bearer good", PASSWORD.basic}:
                status, headers, body = 200, {}, b'{"tags": ["v1"]}'
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815  the base class looks for these names

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()


def test_pages_are_followed_on_the_same_registry_wherever_their_link_points(answers: Answers) -> None:
    answers.add("GET /v2/_catalog", {"repositories": ["a"]}, Link='<https://elsewhere.example/x?last=a>; rel="next"')
    answers.add("GET /v2/_catalog?last=a", {"repositories": ["b"]})
    assert list(answers.source().repositories()) == ["a", "b"]


def test_a_link_to_the_same_page_ends_the_list(answers: Answers) -> None:
    link = '</v2/_catalog?last=a>; rel="next"'
    answers.add("GET /v2/_catalog", {"repositories": ["a"]}, Link=link)
    answers.add("GET /v2/_catalog?last=a", {"repositories": ["b"]}, Link=link)
    assert list(answers.source().repositories()) == ["a", "b"]


def test_what_is_listed_and_is_not_a_name_is_passed_over(answers: Answers) -> None:
    answers.add("GET /v2/_catalog", {"repositories": ["a", "\x1b[31mred", "../../etc", 1, None]})
    answers.add("GET /v2/a/tags/list?n=1000", {"tags": ["v1", "\x07", "a/b", {}]})
    assert list(answers.source().repositories()) == ["a"]
    assert list(answers.source().tags("a")) == ["v1"]


def test_a_registry_that_gives_shorter_pages_only_is_asked_without_a_number(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=1000", {"errors": [{"code": "PAGINATION_NUMBER_INVALID"}]}, 400)
    answers.add("GET /v2/a/tags/list", {"tags": ["v1"]})
    assert list(answers.source().tags("a")) == ["v1"]


def test_a_page_of_tags_begins_where_it_is_told_to_also_where_a_registry_gives_all_of_them(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=2&last=v1", {"tags": ["v3", "v1", "v2", "v0", "v4"]})
    assert answers.source().page_of_tags("a", after="v1", limit=2) == ["v2", "v3"]


def test_a_page_of_tags_is_put_together_of_shorter_ones(answers: Answers) -> None:
    link = '</v2/a/tags/list?n=1&last=v1>; rel="next"'
    answers.add("GET /v2/a/tags/list?n=3", {"tags": ["v1"]}, Link=link)
    answers.add("GET /v2/a/tags/list?n=1&last=v1", {"tags": ["v2"]})
    assert answers.source().page_of_tags("a", limit=3) == ["v1", "v2"]


def test_a_repository_without_tags_has_an_empty_page_and_one_that_is_not_there_has_none(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=5", {"tags": None})
    answers.add("GET /v2/a/tags/list?n=1", {"tags": None})
    assert answers.source().page_of_tags("a", limit=5) == []
    with pytest.raises(NotThereError, match="there is no repository b"):
        answers.source().page_of_tags("b", limit=5)


def test_what_is_listed_and_does_not_describe_a_referrer_is_passed_over(answers: Answers) -> None:
    entry = {
        "digest": str(DIGEST),
        "size": "1",
        "mediaType": 3,
        "artifactType": "a/b",
        "annotations": {"a": 1, "b": "c"},
    }
    listed = [entry, {"digest": "sha256:1"}, {"digest": 3}, None, "x", []]
    answers.add(f"GET /v2/a/referrers/{ABSENT}", {"manifests": listed})
    (found,) = answers.source().referrers("a", ABSENT)
    assert (found.digest, found.size, found.media_type, found.artifact_type) == (DIGEST, 0, "", "a/b")
    assert found.annotations == {"a": "", "b": "c"}


@pytest.mark.parametrize("status", [404, 200])
def test_a_registry_that_does_not_list_referrers_tells_of_none(answers: Answers, status: int) -> None:
    answers.add(f"GET /v2/a/referrers/{ABSENT}", {"manifests": None}, status)
    assert list(answers.source().referrers("a", ABSENT)) == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null"])
def test_an_answer_that_is_no_list_is_one_line(answers: Answers, body: bytes) -> None:
    answers.add("GET /v2/_catalog", body)
    with pytest.raises(InventoryError, match="/v2/_catalog is not what a registry answers"):
        list(answers.source().repositories())


def test_tags_that_come_unsorted_are_sorted(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=1000", {"tags": ["v2", "latest", "v1", "V"]})
    assert list(answers.source().tags("a")) == ["V", "latest", "v1", "v2"]


def test_a_null_list_of_tags_is_an_empty_one(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=1000", {"name": "a", "tags": None})
    assert list(answers.source().tags("a")) == []


def test_content_with_another_digest_is_refused(answers: Answers) -> None:
    answers.add(f"GET /v2/a/manifests/{ABSENT}", MANIFEST)
    with pytest.raises(InventoryError, match="another digest"):
        answers.source().manifest("a", ABSENT)


def test_a_registry_that_tells_no_digest_has_it_computed(answers: Answers) -> None:
    answers.add("HEAD /v2/a/manifests/v1")
    answers.add("GET /v2/a/manifests/v1", MANIFEST)
    assert answers.source().resolve("a", "v1") == DIGEST


def test_a_circle_of_indexes_is_walked_once(answers: Answers) -> None:
    nested = index(MANIFEST)
    answers.add("GET /v2/a/tags/list?n=1000", {"tags": ["v1", "v2"]})
    for tag in ("v1", "v2"):
        answers.add(f"HEAD /v2/a/manifests/{tag}", Docker_Content_Digest=str(Digest.of(nested)))
    answers.add(f"GET /v2/a/manifests/{Digest.of(nested)}", nested)
    answers.add(f"GET /v2/a/manifests/{DIGEST}", MANIFEST)
    with FoundDigests() as manifests:
        found = [each.digest for each in walk(answers.source(), "a", manifests)]
    assert found == [Digest.of(nested), DIGEST]


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, {}, NotThereError, "there is no tag a:v1"),
        (400, {"errors": [{"code": "DIGEST_INVALID"}]}, OnlyManifestsError, "deletes whole manifests only"),
        (405, {"errors": [{"code": "UNSUPPORTED"}]}, InventoryError, "storage.delete.enabled is false there"),
        (403, {"errors": [{"code": "DENIED", "message": "not you\x1b[31m"}]}, InventoryError, "403 DENIED: not you"),
        (500, {}, InventoryError, "tag a:v1 is not deleted: 500"),
        (307, {}, InventoryError, "tag a:v1 is not deleted: 307"),
    ],
)
def test_a_deletion_that_is_refused_says_why(
    answers: Answers, status: int, body: object, kind: type[InventoryError], text: str
) -> None:
    answers.add("DELETE /v2/a/manifests/v1", body, status, Location="/elsewhere")
    with pytest.raises(kind, match=text) as caught:
        answers.source().remove_tag("a", "v1")
    assert str(caught.value).isprintable()


def test_a_registry_that_says_later_is_asked_again(answers: Answers) -> None:
    answers.add("GET /v2/_catalog", {}, 429, Retry_After="0")
    with pytest.raises(InventoryError, match="429"):
        list(answers.source().repositories())
    assert len(answers.asked) == 4


def test_a_password_is_sent_where_basic_is_asked_for_and_never_before(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=1000", {}, 401, WWW_Authenticate='Basic realm="x"')
    assert list(answers.source(PASSWORD).tags("a")) == ["v1"]
    assert [authorization for _, authorization in answers.asked] == ["", PASSWORD.basic]


def test_a_password_that_is_wrong_is_sent_once(answers: Answers) -> None:
    answers.add("GET /v2/a/tags/list?n=1000", {}, 401, WWW_Authenticate='Basic realm="x"')
    with pytest.raises(InventoryError, match="401: give --user"):
        list(answers.source(Credentials("alice", "wrong")).tags("a"))
    assert len(answers.asked) == 2


@pytest.mark.parametrize("credentials", [None, PASSWORD, Credentials("", "identity")])
def test_a_token_is_fetched_with_what_there_is(answers: Answers, credentials: Credentials | None) -> None:
    challenge = f'Bearer realm="{answers.url}/token",service="s",scope="repository:a:pull"'
    answers.add("GET /v2/a/tags/list?n=1000", {}, 401, WWW_Authenticate=challenge)
    for request in ("GET /token?service=s&scope=repository%3Aa%3Apull", "POST /token"):
        answers.add(request, {"access_token": "good"})
    assert list(answers.source(credentials).tags("a")) == ["v1"]
    _, (request, sent), _ = answers.asked
    if credentials is None:
        assert (request[:4], sent) == ("GET ", "")
    elif credentials.user:
        assert (request[:4], sent) == ("GET ", PASSWORD.basic)
    else:
        assert (request, "grant_type=refresh_token&refresh_token=identity" in sent) == ("POST /token", True)


def test_one_token_is_asked_for_all_that_is_done_with_a_repository(answers: Answers) -> None:
    for request, actions in (("GET /v2/a/tags/list?n=1000", "pull"), ("DELETE /v2/a/manifests/v1", "delete")):
        challenge = f'Bearer realm="/token",service="s",scope="repository:a:{actions}"'
        answers.add(request, {}, 401, WWW_Authenticate=challenge)
    answers.add("GET /token?service=s&scope=repository%3Aa%3Apull", {"token": "pulls"})
    answers.add("GET /token?service=s&scope=repository%3Aa%3Adelete%2Cpull", {"token": "good"})
    source = answers.source(PASSWORD)
    with pytest.raises(InventoryError, match="401"):
        list(source.tags("a"))
    source.remove_tag("a", "v1")
    assert list(source.tags("a")) == ["v1"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nX-Evil: b"}'])
def test_a_token_service_that_gives_none_is_one_line(answers: Answers, body: bytes) -> None:
    answers.add("GET /v2/a/tags/list?n=1000", {}, 401, WWW_Authenticate='Bearer realm="/token"')
    answers.add("GET /token?service=&scope=", body)
    with pytest.raises(InventoryError, match="gives no token"):
        list(answers.source().tags("a"))


def test_no_password_leaves_https_for_http() -> None:
    session: Any = Session("https://r.example", PASSWORD, None)
    with pytest.raises(InventoryError, match="is not HTTPS: no password is sent there"):
        session._token({"realm": "http://r.example/token"})
