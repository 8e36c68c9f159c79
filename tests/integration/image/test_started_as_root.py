"""The image where it is started as root, as registry:2 is: on what root has left, without any right prepared."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import Api
from tests.integration.image.containers import UID, push_and_pull
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples
    from tests.integration.engine import Engine
    from tests.integration.image.containers import Container
    from tests.integration.servers import Flavour

pytestmark = pytest.mark.timeout(1500)

DAC_OVERRIDE = 1 << 1
NET_BIND_SERVICE = 1 << 10


@pytest.fixture
def volume(start_server: StartServer, debian_flavour: Flavour, samples: Samples, tmp_path: Path) -> Path:
    """A volume that registry:2 has written as root."""
    root = tmp_path / "mnt/registry"
    server = start_server(debian_flavour, root=root)
    samples.layout.push(server.api, "old/image", samples.multi, "v1")
    server.stop_cleanly()
    assert owners(root) == {0}
    return root


def owners(root: Path) -> set[int]:
    return {each.lstat().st_uid for each in [root, *root.rglob("*")]}


def process(engine: Engine) -> dict[str, str]:
    """Give what the kernel says of the server: of its first process, which is that of the container."""
    status = engine.docker("exec", "registry", "cat", "/proc/1/status")
    return dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))


def lines_of(container: Container, text: str) -> list[str]:
    return [line for line in container.log.splitlines() if text in line]


@pytest.mark.parametrize("top", [0, UID])
def test_a_volume_of_registry_2_is_served_and_written_to_by_an_unprivileged_user(
    engine: Engine, container: Container, volume: Path, samples: Samples, busybox: str, top: int
) -> None:
    os.chown(volume, top, 0)
    api = container.run("-v", f"{volume}:/var/lib/registry")
    assert api.get("/v2/old/image/manifests/v1").headers["Docker-Content-Digest"] == samples.multi["digest"]
    push_and_pull(engine, busybox, container.host)
    api.push_blob("old/image", b"new")
    assert owners(volume) == {UID}
    status = process(engine)
    assert status["Uid"].split() == [str(UID)] * 4
    assert status["Groups"].strip() == ""
    assert int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == NET_BIND_SERVICE
    (line,) = lines_of(container, "made usable")
    assert re.search(r"/var/lib/registry/docker \(to write, \d+ changed owner\)", line)

    engine.docker("restart", "registry")
    wait_until("it is back", lambda: container.answers(api))
    assert len(lines_of(container, "made usable")) == 1


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_key_of_root_and_a_port_below_1024_of_the_host_are_served_by_an_unprivileged_user(
    engine: Engine, container: Container, tmp_path: Path, mode: str
) -> None:
    authority = Authority.create(tmp_path / "ca")
    pair = authority.issue("server")
    certs = tmp_path / "certs"
    certs.mkdir(mode=0o700)
    (certs / "domain.crt").write_bytes(pair.certificate.read_bytes())
    (certs / "domain.key").write_bytes(pair.key.read_bytes())
    (certs / "domain.key").chmod(0o600)
    container.port = free_low_port()
    api = container.run(
        *("-v", f"{certs}:/certs:{mode}", "-e", "REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt"),
        *("-e", "REGISTRY_HTTP_TLS_KEY=/certs/domain.key"),
        tls=authority,
    )
    api.push_blob("image/tls", b"content")
    status = process(engine)
    assert status["Uid"].split() == [str(UID)] * 4
    kept = NET_BIND_SERVICE if mode == "rw" else NET_BIND_SERVICE | DAC_OVERRIDE
    assert int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == kept
    # On a volume that cannot be changed the key is read by a right that the user keeps, and the log says so.
    assert len(lines_of(container, "gets the right to use all files")) == (mode == "ro")
    assert (certs / "domain.key").stat().st_uid == 0
    assert (certs / "domain.key").stat().st_mode & 0o777 == (0o640 if mode == "rw" else 0o600)

    engine.docker("kill", "--signal=HUP", "registry")
    wait_until("it has read the key again", lambda: len(lines_of(container, "using the certificate")) > 1)
    wait_until("it serves", lambda: container.answers(api))
    engine.docker("stop", "registry")
    assert container.state()["ExitCode"] == 0


def free_low_port() -> int:
    """Give a port of this machine that only root may listen on, and nobody does."""
    for port in range(1023, 512, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("all ports below 1024 are taken")


@pytest.mark.parametrize("place", ["distribution", "docker/registry"])
def test_a_configuration_of_root_is_read_now_and_at_a_reload_from_where_either_go_registry_has_it(
    engine: Engine, container: Container, tmp_path: Path, place: str
) -> None:
    config = tmp_path / "config.yml"
    text = "{version: 0.1, storage: {filesystem: {rootdirectory: /data/images}, delete: {enabled: true}}}"
    config.write_text(text)
    config.chmod(0o600)
    (tmp_path / "data").mkdir()
    api = container.run("-v", f"{config}:/etc/{place}/config.yml", "-v", f"{tmp_path}/data:/data")
    api.push_blob("image/a", b"content")
    assert owners(tmp_path / "data/images") == {UID}
    config.write_text(text.replace("true", "17"))
    engine.docker("kill", "--signal=HUP", "registry")
    wait_until(
        "it has read the file",
        lambda: lines_of(container, "config.yml:1: storage.delete.enabled: must be true or false"),
    )


@pytest.mark.parametrize("options", [("--read-only",), ("--security-opt=no-new-privileges",)])
def test_a_hardened_container_needs_no_right_prepared(
    engine: Engine, container: Container, volume: Path, options: tuple[str, ...]
) -> None:
    api = container.run(*options, "-v", f"{volume}:/var/lib/registry")
    api.push_blob("image/hardened", b"content")
    assert owners(volume) == {UID}
    assert process(engine)["Uid"].split() == [str(UID)] * 4


def test_root_that_may_not_become_another_user_serves_itself_and_says_so(
    engine: Engine, container: Container, volume: Path
) -> None:
    api = container.run("--cap-drop=ALL", "-v", f"{volume}:/var/lib/registry")
    api.push_blob("image/root", b"content")
    assert process(engine)["Uid"].split() == ["0"] * 4
    (line,) = lines_of(container, "goes on as root")
    assert "--user 1000:0" in line


@pytest.mark.parametrize(("run_as", "uid", "gid"), [("0", 0, 0), ("33:44", 33, 44)])
def test_another_user_is_chosen_by_a_variable(
    engine: Engine, container: Container, volume: Path, run_as: str, uid: int, gid: int
) -> None:
    api = container.run("-e", f"RUN_AS={run_as}", "-v", f"{volume}:/var/lib/registry")
    api.push_blob("image/chosen", b"content")
    assert owners(volume) == {uid}
    status = process(engine)
    assert (status["Uid"].split()[0], status["Gid"].split()[0]) == (str(uid), str(gid))


def test_an_interrupted_change_of_owners_is_completed_at_the_next_start(
    engine: Engine, container: Container, volume: Path
) -> None:
    api = container.run("-v", f"{volume}:/var/lib/registry")
    engine.docker("stop", "registry")
    (volume / "docker/.chown-unfinished").touch()
    # It can be read, so that no look at the tree alone would find it.
    os.chown(next(volume.rglob("data")), 0, 0)
    engine.docker("start", "registry")
    wait_until("it serves", lambda: container.answers(api))
    assert len(lines_of(container, "(to write, 1 changed owner)")) == 1
    assert not (volume / "docker/.chown-unfinished").exists()
    assert owners(volume) == {UID}


def test_commands_in_the_container_leave_nothing_that_the_server_cannot_use(
    engine: Engine, container: Container, volume: Path, tmp_path: Path
) -> None:
    auth = tmp_path / "auth"
    auth.mkdir()
    container.run("-v", f"{volume}:/var/lib/registry", "-v", f"{auth}:/auth")
    command = "echo secret | registry htpasswd --file /auth/htpasswd --password-stdin alice"
    engine.docker("exec", "registry", "registry", "garbage-collect", "--offline", "--delete-untagged", "--grace=0")
    engine.docker("exec", "registry", "registry", "referrers", "rebuild")
    engine.docker("exec", "registry", "sh", "-c", command)
    engine.docker("exec", "registry", "registry", "export", "old/image:v1", "/auth/image.tar")
    engine.docker("exec", "registry", "registry", "import", "--as", "new/image", "/auth/image.tar")
    assert owners(volume) == {UID}
    assert owners(auth) == {0}
    # Where the server's user may write, the file is its own.
    os.chown(auth, UID, 0)
    engine.docker("exec", "registry", "sh", "-c", command.replace("/auth/htpasswd", "/auth/other"))
    assert (auth / "other").stat().st_uid == UID
    os.chown(auth, 0, 0)

    engine.docker("rm", "--force", "registry")
    api = container.run(
        *("-v", f"{volume}:/var/lib/registry", "-v", f"{auth}:/auth", "-e", "REGISTRY_AUTH_HTPASSWD_REALM=r"),
        *("-e", "REGISTRY_AUTH=htpasswd", "-e", "REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd"),
    )
    change = command.replace("alice", "bob").replace("--file /auth/htpasswd ", "")
    engine.docker("exec", "registry", "sh", "-c", change)
    login = ("login", "--password=secret", container.host, "--username")
    engine.docker(*login, "alice")
    engine.docker(*login, "bob")
    engine.docker("logout", container.host)
    assert api.get("/v2/").status == 401
    assert process(engine)["Uid"].split() == [str(UID)] * 4


def test_a_command_on_a_volume_of_root_is_run_by_the_unprivileged_user(
    engine: Engine, image: str, volume: Path
) -> None:
    mount = ("run", "--rm", "--network=host", "-v", f"{volume}:/var/lib/registry", image)
    engine.docker(*mount, "export", "old/image:v1", "/tmp/image.tar")
    assert owners(volume) == {0}  # to read it, nothing has to change
    engine.docker(*mount, "garbage-collect", "--delete-untagged", "--grace=0")
    assert owners(volume) == {UID}


def test_the_health_check_follows_the_configuration_that_is_served(
    engine: Engine, container: Container, tmp_path: Path
) -> None:
    config = tmp_path / "other.yml"
    config.write_text(
        json.dumps({"version": 0.1, "storage": {"inmemory": {}}, "http": {"addr": f"127.0.0.1:{container.port}"}})
    )
    options = ("-d", "--network=host", "--name=registry", "-v", f"{config}:/other.yml")
    engine.docker("run", *options, container.image, "/other.yml")
    api = Api("localhost", container.port)
    wait_until("it serves", lambda: container.answers(api))
    engine.docker("exec", "registry", "/bin/registry", "probe")
    wait_until("it is healthy", lambda: container.state()["Health"]["Status"] == "healthy", seconds=60)
