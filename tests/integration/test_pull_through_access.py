"""Who gets what of a cache: rights are asked for at each hit, and bytes stay in the repositories that have them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.content import image
from tests.integration.api import OCI_MANIFEST, digest_of
from tests.integration.pull_through import caches, entry
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(120)

SECRET, SHARED = b"a private layer", b"a layer of two repositories"
PASSWORDS = {"alice": "the password of alice", "bob": "the password of bob"}
RULES = [
    {"repositories": "up/team/**", "user:alice": ["pull"]},
    {"repositories": "up/public/**", "anonymous": ["pull"]},
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Registry]:
    with registry() as served:
        served.put_blob("team/app", SECRET)
        for name in ("team/app", "public/app"):
            served.put_blob(name, SHARED)
            served.put_manifest(name, image(name.encode(), SHARED), "v1")
        yield served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Registry) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("guarded")
    htpasswd = directory / "htpasswd"
    hashed = {user: bcrypt.hashpw(given.encode(), bcrypt.gensalt(5)).decode() for user, given in PASSWORDS.items()}
    htpasswd.write_text("".join(f"{user}:{it}\n" for user, it in hashed.items()))
    entries = [entry(upstream.url, namespaces=["hub.example"], hosts=["hub.test"])]
    settings = {"proxies": entries, "auth": {"local": {"htpasswd": str(htpasswd), "rules": RULES}}}
    with caches(directory, settings) as (running,):
        yield running


def get(server: Server, path: str, user: str = "", **headers: str) -> tuple[int, bytes]:
    """Give the status and content of what a user gets."""
    if user:
        login = base64.b64encode(f"{user}:{PASSWORDS[user]}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    answer = server.api.get(path, Accept=OCI_MANIFEST, **headers)
    return answer.status, answer.body


def blob(name: str, content: bytes) -> str:
    return f"/v2/{name}/blobs/{digest_of(content)}"


def test_rights_are_asked_for_at_each_hit(server: Server, upstream: Registry) -> None:
    for path, content in (
        (blob("up/team/app", SECRET), SECRET),
        ("/v2/up/team/app/manifests/v1", image(b"team/app", SHARED)),
    ):
        for _ in range(2):
            assert get(server, path, "alice") == (200, content)
            assert get(server, path)[0] == 401
            assert get(server, path, "bob")[0] in {401, 403}
    asked = len(upstream.asked)
    assert get(server, blob("up/team/app", SECRET), "alice") == (200, SECRET)
    assert get(server, blob("up/team/app", SECRET), "bob")[0] in {401, 403}
    assert len(upstream.asked) == asked, "nothing of that is asked upstream"


def test_what_one_repository_has_cached_is_not_given_under_the_name_of_another(
    server: Server, upstream: Registry
) -> None:
    assert get(server, blob("up/team/app", SECRET), "alice") == (200, SECRET)

    for name in ("up/public/app", "up/public/nothing"):
        assert get(server, blob(name, SECRET))[0] == 404, name
    assert get(server, f"/v2/up/public/app/manifests/{digest_of(image(b'team/app', SHARED))}")[0] == 404

    assert get(server, blob("up/team/app", SHARED), "alice") == (200, SHARED)
    gets = upstream.count("GET", digest_of(SHARED))
    assert get(server, blob("up/public/app", SHARED)) == (200, SHARED)
    assert upstream.count("GET", digest_of(SHARED)) == gets, "a HEAD is enough to see that it has it, too"


def test_a_namespace_a_host_and_a_prefix_need_the_same_right(server: Server) -> None:
    path = blob("team/app", SECRET)
    for asked, headers in ((f"{path}?ns=hub.example", {}), (path, {"Host": "hub.test"})):
        assert get(server, asked, "alice", **headers) == (200, SECRET)
        assert get(server, asked, "bob", **headers)[0] in {401, 403}
        assert get(server, asked, **headers)[0] == 401
    assert get(server, f"{path}?ns=elsewhere.example", "alice")[0] == 404


def test_nobody_pushes_to_a_cache(server: Server) -> None:
    login = base64.b64encode(f"alice:{PASSWORDS['alice']}".encode()).decode()
    answer = server.api.request("POST", "/v2/up/team/app/blobs/uploads/", None, {"Authorization": f"Basic {login}"})
    assert answer.status in {401, 403, 405}, answer
