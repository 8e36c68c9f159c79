"""The client of other registries against real ones: those in Go with and without a login, and ours with its tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from registry.config.upstreams import Upstream as Settings
from registry.config.upstreams import UpstreamAuth
from registry.oci.digest import Digest
from registry.oci.errors import UpstreamRefusedError
from registry.oci.reference import Tag
from registry.upstream.client import Upstream
from tests.integration.api import OCI_MANIFEST, digest_of
from tests.integration.clients import missing
from tests.integration.servers import debian, distribution_v3, ours
from tests.integration.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.api import Api
    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour, Server

NAME = "team/app"
USER, PASSWORD = "alice", "wonder:länd"
ANONYMOUS = UpstreamAuth()
LAYER = b"layer" * 1_000_000
RULES = [{"repositories": "team/**", "user:alice": ["pull"]}]
FLAVOURS: dict[str, Callable[[], Flavour | None]] = {"ours": ours, "debian": debian, "v3": distribution_v3}


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    found = FLAVOURS[request.param]()
    if found is None:
        missing(f"the program of {request.param}")
    assert found is not None
    return found


@pytest.fixture
def htpasswd(tmp_path: Path) -> str:
    path = tmp_path / "htpasswd"
    path.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    return str(path)


@pytest.fixture
def logged_in() -> UpstreamAuth:
    return UpstreamAuth(username=USER, password=PASSWORD)


def push(api: Api) -> tuple[Digest, Digest]:
    """Push an image, and give the digests of its manifest and its layer."""
    layer, config = api.push_blob(NAME, LAYER), api.push_blob(NAME, b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": len(LAYER)},
        ],
    }
    content = json.dumps(document).encode()
    for tag in ("v1", "v2", "v3"):
        assert api.put_manifest(NAME, tag, content).status == 201
    return Digest.parse(digest_of(content)), Digest.parse(layer)


def stored(start_server: StartServer, flavour: Flavour, auth: dict[str, Any]) -> tuple[Server, Digest, Digest]:
    """Start a server with a login that has what was pushed while it had none."""
    writer = start_server(flavour)
    manifest, layer = push(writer.api)
    writer.stop_cleanly()
    return start_server(flavour, root=writer.root, settings={"auth": auth} if auth else {}), manifest, layer


def read_all(upstream: Upstream, manifest: Digest, layer: Digest) -> None:
    """Read everything there is, in every way."""
    assert upstream.find(NAME, Tag("v1")) == upstream.find(NAME, manifest) == manifest
    found = upstream.manifest(NAME, Tag("v1"))
    assert found
    assert (found.digest, found.media_type) == (manifest, OCI_MANIFEST)
    assert upstream.find(NAME, Tag("absent")) is None
    assert upstream.blob_size(NAME, layer) == len(LAYER)
    for start, stop in ((0, None), (1000, None), (5, 17)):
        with upstream.blob(NAME, layer, start, stop) or pytest.fail("the layer is not there") as stream:
            assert (stream.start, stream.size) == (start, len(LAYER))
            assert b"".join(stream) == LAYER[start:stop]
    assert upstream.tags(NAME, after="", limit=2) == ["v1", "v2"]
    assert upstream.tags(NAME, after="v2", limit=2) == ["v3"]
    assert upstream.tags(NAME, after="v3", limit=2) == []
    assert upstream.referrers(NAME, manifest) in (None, [])


@pytest.fixture
def connect() -> Iterator[Callable[..., Upstream]]:
    made: list[Upstream] = []

    def connecting(server: Server, auth: UpstreamAuth = ANONYMOUS) -> Upstream:
        made.append(Upstream(Settings(name="real", remoteurl=server.url, auth=auth)))
        return made[-1]

    yield connecting
    for each in made:
        each.close()


def test_everything_is_read_without_a_login(
    start_server: StartServer, flavour: Flavour, connect: Callable[..., Upstream]
) -> None:
    server, manifest, layer = stored(start_server, flavour, {})
    read_all(connect(server), manifest, layer)


def test_everything_is_read_with_a_password(
    start_server: StartServer,
    flavour: Flavour,
    htpasswd: str,
    logged_in: UpstreamAuth,
    connect: Callable[..., Upstream],
) -> None:
    server, manifest, layer = stored(start_server, flavour, {"htpasswd": {"realm": "r", "path": htpasswd}})
    upstream = connect(server, logged_in)
    read_all(upstream, manifest, layer)
    assert upstream.check().scheme == "basic"
    for auth in (ANONYMOUS, UpstreamAuth(username=USER, password="wrong")):
        with pytest.raises(UpstreamRefusedError):
            connect(server, auth).find(NAME, Tag("v1"))


@pytest.mark.parametrize("flavour", ["ours", "v3"], indirect=True)  # 2.8 knows no such keys
def test_everything_is_read_with_tokens_of_a_service_elsewhere_that_is_named(
    start_server: StartServer, flavour: Flavour, tmp_path: Path, connect: Callable[..., Upstream]
) -> None:
    with TokenServer({USER: ("secret", {"pull"})}, tmp_path) as tokens:
        server, manifest, layer = stored(start_server, flavour, {"token": tokens.section})
        host = tokens.section["realm"].split("/")[2]
        named = UpstreamAuth(username=USER, password="secret", realms=(host,))
        upstream = connect(server, named)
        read_all(upstream, manifest, layer)
        standing = upstream.check()
        assert (standing.scheme, standing.token_service, standing.user) == ("bearer", host, USER)
        with pytest.raises(UpstreamRefusedError, match="may not be asked"):
            connect(server, UpstreamAuth(username=USER, password="secret")).find(NAME, Tag("v1"))


def test_everything_is_read_with_tokens_of_our_own_service(
    start_server: StartServer, htpasswd: str, logged_in: UpstreamAuth, connect: Callable[..., Upstream]
) -> None:
    local = {"local": {"htpasswd": htpasswd, "rules": RULES}}
    server, manifest, layer = stored(start_server, ours(), local)
    upstream = connect(server, logged_in)
    read_all(upstream, manifest, layer)
    assert upstream.check().token_service == server.host
    with pytest.raises(UpstreamRefusedError):
        connect(server).find(NAME, Tag("v1"))
