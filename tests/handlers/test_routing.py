from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from registry.handlers.routing import Routing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RULES = [
    Rule("/v2/<path:name>/blobs/<digest>", endpoint="blobs.get", methods=["GET"]),
    Rule("/v2/<path:name>/blobs/<digest>", endpoint="blobs.delete", methods=["DELETE"]),
    Rule("/v2/<path:name>/blobs/uploads/<upload_id>", endpoint="uploads.get", methods=["GET"]),
]


@pytest.fixture
def routing() -> Routing:
    return Routing(Map([each.empty() for each in RULES], strict_slashes=False, merge_slashes=False))


def match(routing: Routing, path: str, method: str = "GET") -> tuple[str, dict[str, Any]]:
    rule, arguments = routing.match(method, path)
    return rule.endpoint, arguments


def test_what_was_found_is_found_again_without_looking(routing: Routing) -> None:
    first = match(routing, "/v2/a/b/blobs/sha256:1")
    second = match(routing, "/v2/a/b/blobs/sha256:1")

    assert first == second == ("blobs.get", {"name": "a/b", "digest": "sha256:1"})
    assert routing.remembered.cache_info().hits == 1


def test_methods_and_paths_are_told_apart(routing: Routing) -> None:
    for _ in range(2):
        assert match(routing, "/v2/a/blobs/x")[0] == "blobs.get"
        assert match(routing, "/v2/a/blobs/x", "HEAD")[0] == "blobs.get"
        assert match(routing, "/v2/a/blobs/x", "DELETE")[0] == "blobs.delete"
        assert match(routing, "/v2/a/blobs/uploads/x") == ("uploads.get", {"name": "a", "upload_id": "x"})


def test_who_changes_arguments_changes_its_own(routing: Routing) -> None:
    for _ in range(2):
        _, arguments = match(routing, "/v2/a/blobs/x")
        assert arguments == {"name": "a", "digest": "x"}
        arguments.clear()


def test_what_leads_nowhere_is_not_remembered(routing: Routing) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            match(routing, "/v2/a/nothing/x")
        with pytest.raises(MethodNotAllowed):
            match(routing, "/v2/a/blobs/x", "PUT")

    assert routing.remembered.cache_info().currsize == 0


def test_memory_is_bounded_however_many_and_however_long_the_paths_are(routing: Routing) -> None:
    for number in range(2000):
        match(routing, f"/v2/a/blobs/{number}")
    kept = routing.remembered.cache_info().currsize
    long = "a" * 4000

    assert match(routing, f"/v2/{long}/blobs/x") == ("blobs.get", {"name": long, "digest": "x"})
    assert kept == 1024
    assert routing.remembered.cache_info().misses == 2000


@pytest.mark.parametrize("path", ["//v2/a/blobs/x", "//", "/v2/a/blobs/x//"])
def test_two_slashes_are_not_one(routing: Routing, path: str) -> None:
    with pytest.raises(NotFound):
        match(routing, path)


DIGEST = f"sha256:{'0a' * 32}"
UPLOAD_ID = "83058651-0e75-4f30-84d1-fba356ec3cba"


def test_digests_and_ids_of_uploads_are_one_path_for_each_repository(routing: Routing) -> None:
    for number in range(100):
        digest = f"sha256:{number:064x}"
        assert match(routing, f"/v2/a/b/blobs/{digest}") == ("blobs.get", {"name": "a/b", "digest": digest})
        upload_id = f"{number:08x}{UPLOAD_ID[8:]}"
        assert match(routing, f"/v2/a/blobs/uploads/{upload_id}")[1] == {"name": "a", "upload_id": upload_id}

    assert routing.remembered.cache_info().currsize == 2


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("last", [DIGEST, UPLOAD_ID, DIGEST.upper(), f"{DIGEST}\n", "\0", "uploads", "v1"])
@pytest.mark.parametrize(
    "above", ["/v2/a/blobs", "/v2/\0/blobs", f"/v2/{DIGEST}/blobs", "/v2/a/blobs/uploads", "/v2", ""]
)
def test_each_path_leads_where_it_leads_alone(routing: Routing, method: str, last: str, above: str) -> None:
    def found(find: Callable[[str, str], tuple[Rule, Mapping[str, Any]]]) -> object:
        try:
            rule, arguments = find(method, f"{above}/{last}")
        except (NotFound, MethodNotAllowed) as error:
            return type(error)
        return rule.endpoint, dict(arguments)

    assert [found(routing.match) for _ in range(2)] == [found(routing.find)] * 2
