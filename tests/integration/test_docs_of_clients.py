"""The pages on troubleshooting and insecure registries are true: of real clients, and of what the registry says."""

from __future__ import annotations

import ast
import json
import re
import ssl
import tomllib
from typing import TYPE_CHECKING

import pytest

from registry.error_codes import CODES
from tests.integration.clients import finish, require_program, run
from tests.integration.content import fill
from tests.integration.pages import PROGRAMS, PROJECT, Reader, blocks, page_path
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples
    from tests.integration.servers import Server

INSECURE = "insecure-registries.md"
TROUBLE = "troubleshooting.md"
PAGES = (INSECURE, TROUBLE)
HOST = "registry.example.com"


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of the page on troubleshooting."""
    section = page_path(TROUBLE).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_insecure_registries_page(
    start_server: StartServer, samples: Samples, tmp_path: Path, short_directory: Path
) -> None:
    plain = start_server()
    for program in ("podman", "crane", "oras", "openssl"):
        require_program(program)
    skopeo = require_program("skopeo")
    target = f"docker://{plain.host}/team/app:v1"
    run(skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{samples.layout.path}:amd64", target)

    def with_our_certificate() -> str:
        section = {"tls": {"certificate": f"{tmp_path}/domain.crt", "key": f"{tmp_path}/domain.key"}}
        trusting = ssl.create_default_context(cafile=f"{tmp_path}/ca.crt")
        trusting.check_hostname = False  # the test looks at 127.0.0.1 whether it serves
        return start_server(settings={"http": section}, tls=trusting).url.replace("127.0.0.1", "localhost")

    stores = f"--root {short_directory}/root --runroot {short_directory}/run"
    reader = Reader(
        tmp_path,
        {
            f"https://{HOST}:5000": with_our_certificate,
            f"{HOST}:5000": plain.host,
            HOST: "localhost",
            "podman pull": f"podman {stores} --storage-driver=vfs pull",
        },
        environment={"SSL_CERT_FILE": f"{tmp_path}/ca.crt", "DOCKER_CONFIG": str(tmp_path)},
        skipped={"helm push": "helm is in no archive of packages that the tests install"},
    )
    (tmp_path / "config.json").write_text("{}")
    said = reader.work_through(INSECURE)
    assert "v1\n" in next(text for command, text in said.items() if command.startswith("crane"))
    assert re.search(r"^ok +tls ", said[f"registry doctor https://{HOST}:5000"], re.MULTILINE)


def test_every_file_of_the_page_on_insecure_registries_can_be_read(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    texts = [block.text.replace(f"{HOST}:5000", server.host) for block in blocks(INSECURE) if block.language == "toml"]
    hosts, containerd, containers, buildkit = (tomllib.loads(text) for text in texts)
    assert hosts["host"][hosts["server"]]["capabilities"] == ["pull", "resolve", "push"]
    assert list(containerd["plugins"].values()) == [{"registry": {"config_path": "/etc/containerd/certs.d"}}]
    assert buildkit["registry"][server.host] == {"http": True}
    assert containers["registry"][0]["location"] == server.host
    directory = tmp_path / ".config/containers/registries.conf.d"
    directory.mkdir(parents=True)
    (directory / "example.conf").write_text(texts[2])
    inspect = (require_program("skopeo"), "inspect", f"docker://{server.host}/team/app:none")
    assert "server gave HTTP response" in finish(*inspect).stderr
    assert "manifest unknown" in finish(*inspect, env={"HOME": str(tmp_path)}).stderr
    (daemon,) = (json.loads(block.text) for block in blocks(INSECURE) if block.language == "json")
    assert list(daemon) == ["insecure-registries"]
    assert "--insecure-registry list" in run(require_program("dockerd"), "--help")


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> Server:
    """A registry with users, and a certificate of an authority that nobody knows."""
    (tmp_path / "htpasswd").write_text("")
    authority = Authority.create(tmp_path / "ca")
    pair = authority.issue("server")
    settings = {
        "http": {"tls": {"certificate": str(pair.certificate), "key": str(pair.key)}},
        "auth": {"htpasswd": {"realm": "registry", "path": str(tmp_path / "htpasswd")}},
    }
    return start_server(settings=settings, tls=authority.trusting_client())


def test_messages_of_clients_are_those_of_the_page(
    start_server: StartServer, guarded: Server, samples: Samples
) -> None:
    skopeo, crane, oras, curl = (require_program(name) for name in ("skopeo", "crane", "oras", "curl"))
    plain = start_server(settings={"storage": {"delete": {"enabled": False}}})
    image = f"docker://{plain.host}/team/app:v1"
    copy = (skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{samples.layout.path}:amd64")
    run(*copy, image)
    trials = {
        "http: server gave HTTP response to HTTPS client": (oras, "manifest", "fetch", f"{plain.host}/team/app:v1"),
        "this port speaks HTTPS only": (curl, "--show-error", f"http://{guarded.host}/v2/"),
        "x509: certificate signed by unknown authority": (skopeo, "inspect", f"docker://{guarded.host}/app"),
        "authentication required": (skopeo, "inspect", "--tls-verify=false", f"docker://{guarded.host}/app"),
        "manifest unknown": (skopeo, "inspect", "--tls-verify=false", f"docker://{plain.host}/team/app:no"),
        "MANIFEST_UNKNOWN": (crane, "--insecure", "manifest", f"{plain.host}/team/app:no"),
        "repository name must be lowercase": (skopeo, "inspect", f"docker://{plain.host}/App"),
        "405 Method Not Allowed": (skopeo, "delete", "--tls-verify=false", image),
        "connection refused": (skopeo, "inspect", "docker://127.0.0.1:9/app"),
    }
    page = page_path(TROUBLE).read_text()
    messages = page[page.index("## What clients say") : page.index("## What the registry answers")]
    for message, command in trials.items():
        said = finish(*command)
        assert message in said.stdout + said.stderr, command
        assert message in messages


def test_every_error_of_the_registry_is_on_the_page() -> None:
    told = {
        (code, int(status))
        for codes, statuses, _ in table("What the registry answers")
        for code in re.findall(r"`([A-Z_]+)`", codes)
        for status in statuses.split(",")
    }
    assert told >= set(CODES.values())
    assert {code for code, _ in told} == {code for code, _ in CODES.values()}


@pytest.mark.parametrize(
    ("message", "document"),
    [
        ("not YAML: …", "storage: inmemory\n\thttp: x"),
        ("unknown, must be one of …", "storage: none"),
        ("unknown, must be one of …", "storage: inmemory\nauth: {ldap: {}}"),
        ("must name exactly one type, given: …", "storage: {inmemory: {}, filesystem: {}}"),
        ("not supported yet", "storage: inmemory\nmiddleware: {registry: [{name: x}]}"),
        (
            "is not the URL of a registry: …",
            "storage: inmemory\nproxy: {remoteurl: 'https://registry.example.com:99999'}",
        ),
        ("must be true or false, not …", "storage: {inmemory: {}, delete: {enabled: 'true'}}"),
        ("is not a HOST:PORT to listen on: …", "storage: inmemory\nhttp: {addr: ':99999'}"),
        (
            "does not exist or is not a file; create it with …",
            "storage: inmemory\nauth: {local: {htpasswd: /none/htpasswd, rules: []}}",
        ),
        ("this machine has no such address", "storage: inmemory\nhttp: {addr: '192.0.2.1:5000'}"),
    ],
)
def test_configuration_that_is_refused_is_told_of_on_the_page(message: str, document: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(f"version: 0.1\n{document}\n")
    done = finish(PROGRAMS / "registry", "serve", tmp_path / "config.yml")
    assert done.returncode == 1
    assert message.strip(" …") in done.stderr
    assert message in " ".join(row[0] for row in table("When it does not start"))


def test_messages_of_the_log_on_the_page_are_in_the_code() -> None:
    constants = " \n".join(
        node.value
        for room in ("registry", "drivers", "auth")
        for path in (PROJECT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    said = re.sub(r"%(\.\d)?[a-z]", "…", constants)
    rows = [*table("When it does not start"), *table("What the log says")]
    messages = [message for cell, _ in rows for message in re.findall(r"`([^`]+)`", cell)]
    assert len(messages) > 45
    pieces = {piece.strip(" :") for message in messages for piece in message.split("…")}
    assert [piece for piece in sorted(pieces) if piece not in said] == []


def test_troubleshooting_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    fill(server, "ci/app:pr-1")
    config = next(tmp_path.glob("*.yml"))
    reader = Reader(
        tmp_path,
        {"http://localhost:5000": server.url},
        environment={"REGISTRY_CONFIGURATION_PATH": str(config)},
        skipped={
            "curl -sI": "the answer is that of a Mac",
            "docker run": "on deploying.md, too, and executed there",
            "semanage": "SELinux is not what guards this machine",
        },
    )
    said = reader.work_through(TROUBLE)
    assert "HTTP/1.1 200 OK" in next(text for command, text in said.items() if command.startswith("curl -i"))
