"""If-Match and If-None-Match on what changes a manifest or a tag: 412, decided at the moment of the change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths
from tests.content import image
from tests.drivers.interleaving import InterleavingDriver
from tests.handlers.pushing import error_of, push_blob
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from tests.conftest import Serve

FIRST, SECOND, THIRD = (image(b"{}", annotations={"number": number}) for number in "123")
A, B, C = (str(Digest.of(content)) for content in (FIRST, SECOND, THIRD))


def put(client: FlaskClient, content: bytes, reference: str = "latest", **conditions: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    url = f"/v2/a/manifests/{reference}"
    response = client.put(url, data=content, content_type=media_types.OCI_MANIFEST, headers=headers)
    if response.status_code == 412:
        assert error_of(response) == (412, "UNKNOWN")
    return response.status_code


def delete(client: FlaskClient, reference: str = "latest", **conditions: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    return client.delete(f"/v2/a/manifests/{reference}", headers=headers).status_code


def tagged(client: FlaskClient, tag: str = "latest") -> str | None:
    return client.head(f"/v2/a/manifests/{tag}").headers.get("Docker-Content-Digest")


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    push_blob(client, "a", b"{}")
    return client


HOLDS_FOR_A = [
    {"If_Match": f'"{A}"'},
    {"If_Match": f'"x", "{A}"'},
    {"If_Match": "*"},
    {"If_Match": A},
    {"If_None_Match": '"x"'},
    {"If_None_Match": f'W/"{B}", "{C}"'},
    {"If_Match": f'"{A}"', "If_None_Match": f'"{B}"'},
]
FAILS_FOR_A = [
    {"If_Match": f'"{B}"'},
    {"If_Match": f'W/"{A}"'},
    {"If_Match": ""},
    {"If_Match": f'"{A}'[:-5]},
    {"If_None_Match": "*"},
    {"If_None_Match": f'"{A}"'},
    {"If_None_Match": f'"x", W/"{A}"'},
    {"If_Match": f'"{A}"', "If_None_Match": f'"{A}"'},
    {"If_Match": "*", "If_None_Match": "*"},
]


@pytest.mark.parametrize("conditions", HOLDS_FOR_A, ids=repr)
def test_a_tag_that_is_as_the_client_has_seen_it_is_moved_and_deleted(
    client: FlaskClient, conditions: dict[str, str]
) -> None:
    assert put(client, FIRST) == 201
    assert put(client, SECOND, **conditions) == 201
    assert tagged(client) == B

    assert put(client, FIRST) == 201
    assert delete(client, **conditions) == 202
    assert tagged(client) is None
    assert tagged(client, A) == A


@pytest.mark.parametrize("conditions", FAILS_FOR_A, ids=repr)
def test_a_tag_that_is_not_stays_and_nothing_is_stored(
    client: FlaskClient, driver: StorageDriver, conditions: dict[str, str]
) -> None:
    assert put(client, FIRST) == 201

    assert put(client, SECOND, **conditions) == 412
    assert delete(client, **conditions) == 412

    assert tagged(client) == A
    assert tagged(client, B) is None
    assert driver.list(paths.tags("a"), limit=2) == ["latest"]


def test_a_tag_that_does_not_exist_matches_nothing(client: FlaskClient) -> None:
    for header in ("*", f'"{A}"'):
        assert put(client, FIRST, If_Match=header) == 412
        # Without the condition it would be 404, so that comes first (RFC 9110 section 13.2.1).
        assert delete(client, If_Match=header) == delete(client, If_None_Match=header) == 404
    assert tagged(client) is None

    assert put(client, FIRST, If_None_Match="*") == 201
    assert put(client, FIRST, If_None_Match="*") == 412
    assert put(client, SECOND, "other", If_None_Match=f'"{A}"') == 201
    assert delete(client, If_Match=f'"{A}"') == 202
    assert put(client, SECOND, If_None_Match="*") == 201
    assert tagged(client) == B


def test_the_condition_of_a_push_by_digest_is_about_that_manifest(client: FlaskClient) -> None:
    assert put(client, FIRST, A, If_Match="*") == 412
    assert tagged(client, A) is None
    assert put(client, FIRST, A, If_None_Match="*") == 201
    assert put(client, FIRST, A, If_None_Match="*") == 412
    assert put(client, FIRST, f"{A}?tag=v1&tag=v2", If_Match=f'"{A}"') == 201
    assert put(client, SECOND, "v1?tag=v1&tag=v2", If_Match=f'"{A}"') == 201
    assert tagged(client, "v1") == tagged(client, "v2") == B

    assert delete(client, A, If_Match=f'"{B}"') == delete(client, A, If_None_Match="*") == 412
    assert tagged(client, A) == A
    assert delete(client, A, If_Match=f'"{A}"') == 202
    assert delete(client, A, If_Match=f'"{A}"') == 404


def test_a_torn_link_counts_as_no_tag(client: FlaskClient, driver: StorageDriver) -> None:
    assert put(client, FIRST) == 201
    driver.put(paths.tag_link("a", "latest"), b"")

    assert put(client, SECOND, If_Match="*") == 412
    assert put(client, SECOND, If_None_Match="*") == 201
    assert tagged(client) == B


def swap(client: FlaskClient) -> int:
    return put(client, SECOND, If_Match=f'"{A}"')


def remove(client: FlaskClient) -> int:
    return delete(client, If_Match=f'"{A}"')


def create(client: FlaskClient) -> int:
    return put(client, SECOND, If_None_Match="*")


def overwrite(client: FlaskClient) -> int:
    return put(client, THIRD)


def delete_anyhow(client: FlaskClient) -> int:
    return delete(client)


@pytest.mark.parametrize("slow", [swap, remove])
@pytest.mark.parametrize("quick", [swap, remove, overwrite, delete_anyhow])
def test_what_happens_between_any_two_storage_calls_of_a_change_counts(
    serve: Serve, slow: Callable[[FlaskClient], int], quick: Callable[[FlaskClient], int]
) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        client = serve(medium)
        push_blob(client, "a", b"{}")
        assert put(client, FIRST) == 201
        answers: list[int] = []
        between = InterleavingDriver(medium, moment, lambda: answers.append(quick(client)))  # noqa: B023

        mine = slow(serve(between))

        if between.calls < moment:
            break
        [others] = answers
        assert_nothing_dangles(medium, "a")
        if quick in {swap, remove}:
            # Both want to find A, so one of them does not.
            assert {mine < 300, others < 300} == {True, False}
            winner = slow if mine < 300 else quick
            assert tagged(client) == (B if winner is swap else None)
        elif mine >= 300:
            assert tagged(client) == (C if quick is overwrite else None)
        elif quick is overwrite:
            assert tagged(client) == C, "it came after the change, or the change had to fail"


def test_a_tag_that_is_moved_while_its_old_manifest_is_deleted_stays(serve: Serve) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        client = serve(medium)
        push_blob(client, "a", b"{}")
        assert put(client, FIRST) == 201
        between = InterleavingDriver(medium, moment, lambda: swap(client))  # noqa: B023

        assert delete(serve(between), A) == 202

        if between.calls < moment:
            break
        assert_nothing_dangles(medium, "a")
        assert tagged(client) == (B if tagged(client, B) else None)


def test_of_two_first_pushes_between_any_two_storage_calls_one_is_412(serve: Serve) -> None:
    for target in ("latest", B):
        for moment in count(1):
            medium = InMemoryDriver()
            client = serve(medium)
            push_blob(client, "a", b"{}")
            answers: list[int] = []

            def first(client: FlaskClient) -> int:
                return put(client, SECOND, target, If_None_Match="*")  # noqa: B023 - called in this very round

            between = InterleavingDriver(medium, moment, lambda: answers.append(first(client)))  # noqa: B023

            answers.append(first(serve(between)))

            if between.calls < moment:
                break
            assert sorted(answers) == [201, 412]
            assert tagged(client, target) == B


def test_of_many_at_a_time_one_moves_the_tag(client: FlaskClient) -> None:
    current, contents = "*", []
    for turn in range(3):
        contents = [image(b"{}", annotations={"turn": f"{turn} {number}"}) for number in range(8)]
        together = threading.Barrier(len(contents))

        def pushed(content: bytes) -> int:
            together.wait()  # noqa: B023 - called in this very round
            condition = {"If_Match": f'"{current}"'} if current != "*" else {"If_None_Match": "*"}  # noqa: B023
            return put(client.application.test_client(), content, **condition)

        with ThreadPoolExecutor(len(contents)) as pool:
            answers = list(pool.map(pushed, contents))
        assert sorted(answers) == [201] + [412] * (len(contents) - 1)
        current = str(Digest.of(contents[answers.index(201)]))
        assert tagged(client) == current
