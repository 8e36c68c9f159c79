"""Real clients log in, push, pull, and are refused, with every access controller."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from tests.integration.clients import finish, require_program, run
from tests.integration.content import LAYER_TYPE, Layout
from tests.integration.logins import Client, Crane, Curl, Docker, Oras, Podman, Skopeo
from tests.integration.secrecy import SUITE
from tests.integration.servers import Server, ours
from tests.integration.token_server import TokenServer
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine import Engine

pytestmark = pytest.mark.timeout(400)

USERS = {"alice": ("wonderland", {"pull", "push"}), "reader": ("library", {"pull"})}
RULES = [
    {"repositories": "**", "user:alice": ["pull", "push", "overwrite"], "user:reader": ["pull"]},
    {"repositories": "public/**", "anonymous": ["pull"], "user:alice": ["pull", "push"]},
]
CLIENTS = ["docker", "skopeo", "podman", "crane", "oras", "curl"]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """One image of a few hundred bytes."""
    made = Layout.create(tmp_path_factory.mktemp("small") / "layout")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    layer = made.add(LAYER_TYPE, gzip.compress(tar.getvalue()))
    image = made.add_image([layer], [f"sha256:{hashlib.sha256(tar.getvalue()).hexdigest()}"], "amd64")
    made.tag("small", image)
    return made


@pytest.fixture(scope="module", params=["htpasswd", "token", "local"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry with access control; its one section names the controller."""
    directory = tmp_path_factory.mktemp(request.param)
    htpasswd = directory / "htpasswd"
    htpasswd.write_text("".join(f"{user}:{hashed(password)}\n" for user, (password, _) in USERS.items()))
    with TokenServer(USERS, directory) as tokens:
        sections: dict[str, dict[str, Any]] = {
            "htpasswd": {"realm": "Registry", "path": str(htpasswd)},
            "token": tokens.section,
            "local": {"htpasswd": str(htpasswd), "rules": RULES},
        }
        section = {request.param: sections[request.param]}
        running = Server(ours(), directory / "root", directory, settings={"auth": section}).start()
        try:
            yield running
            for password, _ in USERS.values():
                assert password not in running.log
        finally:
            running.stop_cleanly()
            shutil.rmtree(running.root)


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(6)).decode()


def by_password(server: Server, *options: str, key: str = "") -> str:
    """Return what the API answers about alice's keys, or about the one called `key`, given her password."""
    user = ("--silent", "--fail", "--user", f"alice:{USERS['alice'][0]}")
    return run(require_program("curl"), *user, *options, f"{server.url}/v2/_registry/keys{f'/{key}' if key else ''}")


def kept_in(server: Server) -> Path:
    """Return where the server records refresh tokens."""
    return Path(server.settings["auth"]["local"]["htpasswd"]).with_name("refresh-tokens")


def controller(server: Server) -> str:
    (name,) = server.settings["auth"]
    return str(name)


@pytest.fixture(scope="module")
def docker_source(engine: Engine, layout: Layout) -> str:
    """An image that the engine has."""
    digest = layout.document(layout.tagged("small")["digest"])["layers"][0]["digest"]
    engine.docker("import", layout.blob_path(digest), "small:v1")
    return "small:v1"


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, layout: Layout, tmp_path: Path) -> Client:
    if request.param == "docker":
        return Docker(request.getfixturevalue("engine"), tmp_path, request.getfixturevalue("docker_source"))
    if request.param == "oras":
        require_program("oras")
        return Oras(tmp_path)
    if request.param == "curl":
        return Curl(tmp_path, layout)
    require_program(request.param)
    if request.param == "podman":
        return Podman(tmp_path, layout, request.getfixturevalue("short_directory"))
    clients: dict[str, Any] = {"skopeo": Skopeo, "crane": Crane}
    made: Client = clients[request.param](tmp_path, layout)
    return made


def test_client_pushes_and_pulls_once_it_has_logged_in(client: Client, guarded: Server) -> None:
    name = f"{type(client).__name__.lower()}/app"
    image = f"{guarded.host}/{name}:v1"
    assert not client.push(image)
    assert not client.login(guarded.host, "alice", "looking glass")
    client.logout(guarded.host)
    assert not client.push(image)

    entered = client.login(guarded.host, "alice", "wonderland")
    assert entered, entered.said
    pushed = client.push(image)
    assert pushed, pushed.said
    pulled = client.pull(image)
    assert pulled, pulled.said

    client.logout(guarded.host)
    assert not client.pull(image)


def test_reader_pulls_and_may_not_push(client: Client, guarded: Server) -> None:
    if controller(guarded) == "htpasswd":
        pytest.skip("htpasswd lets everybody do everything")
    image = f"{guarded.host}/{type(client).__name__.lower()}/read:v1"
    client.login(guarded.host, "alice", "wonderland")
    pushed = client.push(image)
    assert pushed, pushed.said
    client.logout(guarded.host)

    entered = client.login(guarded.host, "reader", "library")
    assert entered, entered.said
    pulled = client.pull(image)
    assert pulled, pulled.said
    refused = client.push(image.replace("read", "other"))
    assert not refused
    if controller(guarded) == "local":
        assert "rule 1 (**)" in refused.said


def test_stranger_pulls_what_is_public_without_logging_in(client: Client, guarded: Server) -> None:
    if controller(guarded) == "htpasswd":
        pytest.skip("htpasswd knows no strangers")
    image = f"{guarded.host}/public/{type(client).__name__.lower()}:v1"
    client.login(guarded.host, "alice", "wonderland")
    pushed = client.push(image)
    assert pushed, pushed.said
    client.logout(guarded.host)
    pulled = client.pull(image)
    assert pulled, pulled.said
    assert not client.push(image.replace(":v1", ":v2"))


@pytest.mark.parametrize("guarded", ["local"], indirect=True)
class TestLocal:
    def test_docker_keeps_a_refresh_token_and_no_password(
        self, engine: Engine, docker_source: str, guarded: Server, tmp_path: Path
    ) -> None:
        docker = Docker(engine, tmp_path, docker_source)
        assert docker.login(guarded.host, "alice", "wonderland")
        kept = json.loads((tmp_path / "docker/config.json").read_text())["auths"][guarded.host]
        assert kept["identitytoken"]
        for tag in ("v1", "v2"):
            pushed = docker.push(f"{guarded.host}/docker/refreshed:{tag}")
            assert pushed, pushed.said
            assert docker.pull(f"{guarded.host}/docker/refreshed:{tag}")

    @pytest.mark.parametrize("client_id", ["docker", "a-portal"])
    def test_one_refresh_token_serves_all_clients_again_and_again(
        self, layout: Layout, guarded: Server, tmp_path: Path, short_directory: Path, client_id: str
    ) -> None:
        """None of them has a place for a new token: crane and regctl use it, and forget it when they end."""
        realm = f"{guarded.url}/auth/token?service=registry&offline_token=true&client_id={client_id}"
        answered = run(require_program("curl"), "--silent", "--user", "alice:wonderland", realm)
        token = json.loads(answered)["refresh_token"]
        SUITE.add(token)
        directory = tmp_path / "lent"
        directory.mkdir()
        as_docker_writes_it = {"auth": base64.b64encode(b"alice:").decode(), "identitytoken": token}
        credentials = json.dumps({"auths": {guarded.host: as_docker_writes_it}})
        for name in ("config.json", "auth.json", "oras.json"):
            (directory / name).write_text(credentials)
        oras = Oras(directory)
        podman = Podman(directory, layout, short_directory)
        clients: list[Client] = [Crane(directory, layout), Skopeo(directory, layout), podman, oras]
        for _ in range(2):
            for client in clients:
                image = f"{guarded.host}/lent/{type(client).__name__.lower()}:v1"
                pushed = client.push(image)
                assert pushed, pushed.said
                pulled = client.pull(image)
                assert pulled, pulled.said
            # Copying to another repository asks for more rights in the middle, with the token of the last answer.
            copied = f"{guarded.host}/lent/{client_id}-copy:v1"
            run(
                require_program("crane"),
                *("--insecure", "copy", f"{guarded.host}/lent/crane:v1", copied),
                env={"DOCKER_CONFIG": str(directory)},
            )
        listed = json.loads(run(ours().command[0], "auth", "token", "list", "--json", "--directory", kept_in(guarded)))
        assert {login["revoked"] for login in listed if login["client"] == client_id} == {False}

    def test_docker_is_told_which_rule_keeps_a_tag_where_it_is(
        self, engine: Engine, docker_source: str, layout: Layout, guarded: Server, tmp_path: Path
    ) -> None:
        image = f"{guarded.host}/public/immutable:v1"
        docker, skopeo = Docker(engine, tmp_path, docker_source), Skopeo(tmp_path, layout)
        for client in (docker, skopeo):
            assert client.login(guarded.host, "alice", "wonderland")
        assert docker.push(image)
        assert docker.push(image)
        refused = skopeo.push(image)
        assert not refused
        assert "alice may not overwrite public/immutable: rule 2 (public/**)" in refused.said

    def test_curl_sends_a_password_straight_to_the_api(self, guarded: Server) -> None:
        curl = require_program("curl")
        options = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
        for user, expected in (("alice:wonderland", "200"), ("alice:wrong", "401"), ("alice:", "401")):
            assert finish(curl, *options, "--user", user, f"{guarded.url}/v2/_catalog").stdout == expected
        assert run(curl, *options, f"{guarded.url}/v2/") == "401"

    def test_a_key_that_a_user_has_made_logs_in_on_every_host_to_what_it_is_limited_to(
        self, engine: Engine, docker_source: str, layout: Layout, guarded: Server, tmp_path: Path
    ) -> None:
        local = {**guarded.settings["auth"]["local"], "apikeys": "storage"}
        sections = {"auth": {"local": local}, "http": {"extensions": {"enabled": True}, "secret": "of both"}}
        here, there = (Server(ours(), tmp_path / "root", tmp_path / each, settings=sections) for each in ("1", "2"))
        for server in (here, there):
            server.directory.mkdir()
            server.start()
        try:
            wished = json.dumps({"name": "builds", "lifetime": "1h", "repositories": ["built/**"]})
            made = json.loads(by_password(here, "--header", "Content-Type: application/json", "--data", wished))
            SUITE.add(made["key"])
            docker, skopeo = Docker(engine, tmp_path, docker_source), Skopeo(tmp_path, layout)
            for client, name in ((docker, "built/docker:v1"), (skopeo, "built/skopeo:v1")):
                for server in (here, there):
                    logged_in = client.login(server.host, "alice", made["key"])
                    assert logged_in, logged_in.said
                pushed = client.push(f"{here.host}/{name}")
                assert pushed, pushed.said
                pulled = client.pull(f"{there.host}/{name}")
                assert pulled, pulled.said
            refused = skopeo.push(f"{here.host}/other/app:v1")
            assert not refused
            assert "403" in refused.said
            by_password(there, "--request", "DELETE", key=made["id"])
            assert not skopeo.pull(f"{there.host}/built/skopeo:v1")
            wait_until(
                "the other host to refuse it", lambda: not skopeo.pull(f"{here.host}/built/skopeo:v1"), seconds=15
            )
            assert json.loads(by_password(here))["keys"] == []
            assert made["key"] not in here.log + there.log
        finally:
            for server in (here, there):
                server.stop_cleanly()

    def test_an_api_key_logs_in_until_it_is_revoked(self, layout: Layout, guarded: Server, tmp_path: Path) -> None:
        registry = ours().command[0]
        keys = tmp_path / "keys.json"
        sections = {"auth": {"local": {**guarded.settings["auth"]["local"], "apikeys": str(keys)}}}
        server = Server(ours(), tmp_path / "root", tmp_path, settings=sections).start()
        try:
            options = ("--file", keys)
            text = run(registry, "auth", "key", "create", "--user", "alice", "--expires", "1h", *options).strip()
            SUITE.add(text)
            skopeo = Skopeo(tmp_path, layout)
            assert skopeo.login(server.host, "alice", text)
            assert skopeo.push(f"{server.host}/key/app:v1")
            run(registry, "auth", "key", "revoke", text.split("_")[1], *options)
            assert not skopeo.pull(f"{server.host}/key/app:v1")
            assert text not in server.log
        finally:
            server.stop_cleanly()
