"""What the pages of docs/ say is true: their commands are executed, their configurations loaded."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.clients import finish, require_program, run
from tests.integration.content import fill
from tests.integration.image.test_docs import PAGES as PAGES_WITH_CONTAINERS
from tests.integration.pages import PROGRAMS, PROJECT, Block, Reader, blocks, page_path
from tests.integration.servers import configuration, free_port
from tests.integration.test_docs_of_caches import PAGES as PAGES_OF_CACHES
from tests.integration.test_docs_of_clients import PAGES as PAGES_WITH_CLIENTS
from tests.integration.test_docs_of_extension import PAGES as PAGES_OF_EXTENSION
from tests.integration.test_docs_of_maintenance import PAGES as PAGES_OF_MAINTENANCE
from tests.integration.test_docs_of_notifications import PAGES as PAGES_OF_NOTIFICATIONS
from tests.integration.test_package import PAGE as INSTALLING
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import StartServer

PAGES = (
    *("access-control.md", "airgap.md", "backup.md", "cors.md", "doctor.md", "fsck.md"),
    *("garbage-collection.md", "list-and-delete.md", "logs.md", "migrating.md", "retention.md", "storage-copy.md"),
)
INSTALLS = "installs what make has installed here; test_extras_that_pages_name_exist"
WITHOUT_COMMANDS = {
    "audit.md": {"registry audit": "tests/commands/test_audit.py runs them on a log that has something to show"},
    "cache.md": {"/opt/registry/bin/pip install": INSTALLS},
    "cluster.md": {"level=warning msg=": "what the log says; tests/jobs/test_cluster.py reads it there"},
    "configuration.md": {"configuration error:": "what is said; test_error_of_the_reference_is_what_is_said"},
    "health.md": {},
    "logins.md": {},
    "metrics.md": {},
    "middleware.md": {},
    "performance.md": {"make bench": "measures for minutes up to an hour, with programs that only load a server"},
    "proxy.md": {},
    "storage-drivers.md": {},
    "web.md": {},
    "tls.md": {
        "cat domain.crt": "on deploying.md, too, and executed there",
        "level=error msg=": "what the log says; test_tls.py reads it there",
        "/opt/registry/bin/pip install": INSTALLS,
    },
}
SECTIONS_OF_STORAGE = {"cache", "delete", "maintenance", "redirect", "tag"}
AROUND = {"oidc:": "auth: {local: {htpasswd: /auth/htpasswd, rules: []}}"}
"""The section that a part of a configuration belongs to, by its first word; all others are sections of the file."""


def all_pages() -> list[str]:
    return ["README.md", *sorted(path.name for path in (PROJECT / "docs").glob("*.md"))]


def test_every_page_is_worked_through() -> None:
    elsewhere = (
        INSTALLING,
        *PAGES_WITH_CONTAINERS,
        *PAGES_WITH_CLIENTS,
        *PAGES_OF_NOTIFICATIONS,
        *PAGES_OF_EXTENSION,
        *PAGES_OF_MAINTENANCE,
        *PAGES_OF_CACHES,
    )
    assert sorted([*PAGES, *elsewhere, *WITHOUT_COMMANDS]) == sorted(all_pages())


@pytest.mark.parametrize("page", WITHOUT_COMMANDS)
def test_page_has_no_command_that_is_not_executed(page: str, tmp_path: Path) -> None:
    assert Reader(tmp_path, skipped=WITHOUT_COMMANDS[page]).work_through(page) == {}


def test_command_that_nobody_has_prepared_fails_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.integration.pages.page_path", lambda _: tmp_path / "page.md")
    page = "Do\n\n    true   # yes\n    echo one \\\n      two\n    false\n\nand\n\n```\nsaid\n```\n"
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(AssertionError, match="exit status 1"):
        Reader(tmp_path).work_through("page.md")
    with pytest.raises(AssertionError, match="neither executed nor said why not: said"):
        Reader(tmp_path, skipped={"false": "it fails"}).work_through("page.md")
    with pytest.raises(AssertionError, match=r"any more: .*gone"):
        Reader(tmp_path, skipped={"false": "it fails", "said": "output", "gone": "was"}).work_through("page.md")
    said = Reader(tmp_path, skipped={"false": "it fails", "said": "output"}).work_through("page.md")
    assert said == {"true": "", "echo one two": "one two\n"}


CONFIGURATIONS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in all_pages()
    for number, block in enumerate(block for block in blocks(page) if block.language == "yaml")
]


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_configuration_on_a_page_is_loaded_without_a_warning(block: Block, tmp_path: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(block.text)
    for word, around in AROUND.items():
        if block.text.lstrip().startswith(word):
            section = yaml.safe_load(around)
            section["auth"]["local"].update(document)
            document = section
    document = {"version": 0.1, "storage": {}, **document}
    if document["storage"].keys() <= SECTIONS_OF_STORAGE:
        document["storage"]["inmemory"] = {}
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump(document))
    done = finish(PROGRAMS / "registry", "config", "show", file)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_error_of_the_reference_is_what_is_said(tmp_path: Path) -> None:
    (said,) = (block.text for block in blocks("configuration.md") if block.language == "console")
    file = tmp_path / "config.yml"
    file.write_text("version: 0.1\nstorage: inmemory\nhttp: {draintimeout: soon}\n")
    done = finish(PROGRAMS / "registry", "config", "check", file)
    assert (done.returncode, done.stderr.strip()) == (1, said.strip().replace("config.yml", str(file)))


def test_costs_of_an_image_are_the_sums_of_its_requests() -> None:
    text = page_path("storage-drivers.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    counted = [(row[0], int(row[1].partition(":")[0])) for row in rows if re.match(r"\d+: ", row[1])]
    calls = dict(reversed(counted))
    looked_up, missed = calls["HEAD a blob"], calls["HEAD a blob that is not there"]
    manifest = calls["PUT a manifest by tag"]
    pulled = calls["HEAD a manifest by tag"] + calls["GET a manifest by tag, later"]
    redirected, streamed = calls["GET a layer of any size, redirected"], calls["GET a layer of 8 MiB, streamed"]
    remembered = calls["GET a layer of any size, redirected, its size remembered"]
    config, layer = (cost for title, cost in counted if title == "the same as docker does: POST, PATCH, PUT")
    images = {
        "push what is new": (config + missed, layer + missed, manifest),
        "push what is there already": (looked_up, looked_up, manifest),
        "pull, redirected": (redirected, redirected, pulled),
        "pull, redirected, its sizes remembered": (remembered, remembered, pulled),
        "pull, streamed": (streamed, streamed, pulled),
    }
    told = {row[0]: tuple(map(int, row[1:])) for row in rows if row[0] in images}
    assert told == {title: (*costs, costs[0] + 5 * costs[1] + costs[2]) for title, costs in images.items()}


def test_extras_that_pages_name_exist() -> None:
    texts = [page_path(page).read_text() for page in all_pages()]
    named = {name for text in texts for names in re.findall(r"'\.\[([\w,]+)\]'", text) for name in names.split(",")}
    (table,) = re.findall(r"^\| extra \| for \|\n((?:\|.*\n)+)", page_path(INSTALLING).read_text(), re.MULTILINE)
    named |= {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    extras = (PROJECT / "setup.cfg").read_text().partition("[options.extras_require]")[2].partition("\n[")[0]
    assert (
        {"acme", "azure", "gcs", "otel", "redis", "s3"} <= named <= set(re.findall(r"^(\w+) =$", extras, re.MULTILINE))
    )


@pytest.mark.parametrize("page", all_pages())
def test_files_and_sections_that_a_page_names_exist(page: str) -> None:
    path = page_path(page)
    text = path.read_text()
    for link, section in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        target = path.parent / link if link else path
        assert target.exists(), link
        assert not section or section in anchors(target.read_text()), f"{link}#{section}"
    for name in re.findall(r"`((?:deploy|tests|registry)/[\w./-]+)`", text):
        assert (PROJECT / name).exists(), name


def anchors(text: str) -> set[str]:
    """Return the names under which the sections of a page are linked to."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The file of a registry that is not running, with its storage in tmp_path/root."""
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump(configuration(tmp_path / "root", free_port(), "secret")))
    return file


def test_airgap_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    fill(server, "team/app:v1", "base/debian:12", "base/debian:13")
    (tmp_path / "stick").mkdir()
    config = next(tmp_path.glob("*.yml"))
    reader = Reader(tmp_path, {"/media/stick": str(tmp_path / "stick")}, environment=configured_by(config))
    said = reader.work_through("airgap.md")
    assert sorted(list(said.values())[1].split()) == ["base/debian:12", "base/debian:13", "team/app:v1"]


def configured_by(config: Path) -> dict[str, str]:
    return {"REGISTRY_CONFIGURATION_PATH": str(config)}


def test_cors_page(start_server: StartServer, tmp_path: Path) -> None:
    (section, raw) = (yaml.safe_load(block.text) for block in blocks("cors.md") if block.language == "yaml")
    for settings in (section, raw):
        server = start_server(root=tmp_path / "root", settings=settings)
        said = Reader(tmp_path, {"localhost:5000": server.host}).work_through("cors.md")
        (answer,) = said.values()
        assert answer.startswith("HTTP/1.1 204 ")
        assert "Access-Control-Allow-Origin: https://ui.example.com\n" in answer


def test_doctor_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    skipped = {"ok       tls": "what the command says, shortened"}
    said = Reader(tmp_path, {"localhost:5000": server.host}, skipped=skipped).work_through("doctor.md")
    (table,) = said.values()
    (shown,) = (block.text for block in blocks("doctor.md") if block.language == "output")
    assert table.splitlines()[:2] == shown.splitlines()[:2]
    (tmp_path / "checks").write_text(table)
    checks = set(re.findall(r"^\w+ +(.+?)  ", table, re.MULTILINE))
    assert {"tls", "api", "clock", "errors", "location", "body limit", "pause", "buffering", "push", "range"} <= checks


def test_logs_page(config: Path, tmp_path: Path) -> None:
    port = yaml.safe_load(config.read_text())["http"]["addr"].rpartition(":")[2]
    reader = Reader(
        tmp_path,
        {"http://collector:4318": f"http://127.0.0.1:{free_port()}"},
        environment=configured_by(config),
        skipped={"/opt/registry/bin/pip install": INSTALLS},
        serves=answering(int(port)),
    )
    reader.work_through("logs.md")


def answering(port: int) -> Callable[[], bool]:
    from tests.integration.api import Api  # noqa: PLC0415
    from tests.integration.image.containers import serves  # noqa: PLC0415

    return lambda: serves(Api("localhost", port))


def test_migrating_page(config: Path, tmp_path: Path) -> None:
    port = yaml.safe_load(config.read_text())["http"]["addr"].rpartition(":")[2]
    places = {"/etc/distribution/config.yml": str(config)}
    said = Reader(tmp_path, places, serves=answering(int(port))).work_through("migrating.md")
    assert list(said.values())[-1].strip() == "0 referrers in 0 repositories"


def test_garbage_collection_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    fill(server, "team/app:v1")
    before = {path for path in server.root.rglob("data") if path.is_file()}
    server.api.push_blob("team/app", b"nobody names this")
    for path in server.root.rglob("*"):
        os.utime(path, (0, 0))
    config = str(next(tmp_path.glob("*.yml")))
    image = server.api.manifest("team/app", "v1")
    places = {"/etc/distribution/config.yml": config, r"sha256:5d5e1c4c\.\.\.": image.digest}
    skipped = {"registry garbage-collect --online": "takes minutes; tests/commands/test_collecting.py runs it faster"}
    said = Reader(tmp_path, places, skipped=skipped).work_through("garbage-collection.md")
    status, *collected, explained = said.values()
    assert status == "no run is on\nnone has ended yet\n"
    assert ["1 blobs and 0 manifests eligible" in text for text in collected] == [True, True]
    assert f"{image.digest} stays: team/app:v1 -> " in explained
    assert {path for path in server.root.rglob("data") if path.is_file()} == before


def test_fsck_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    fill(server, "team/app:v1", "team/web:v1")
    (tag,) = server.root.rglob("team/app/_manifests/tags/v1")

    def damage(command: str) -> None:
        if "--repair" in command or "--prune" in command:
            (tag / "current/link").write_bytes(b"")
        if "--prune" in command:
            shutil.rmtree(tag / "index")

    reader = Reader(
        tmp_path,
        {"/etc/distribution/config.yml": str(next(tmp_path.glob("*.yml")))},
        skipped={"damaged: ": "what the command says, shortened; tests/commands/test_fsck.py compares it"},
        before=damage,
    )
    said = [text.splitlines() for text in reader.work_through("fsck.md").values()]
    assert [lines[-1:] for lines in said[:2]] == [["nothing is damaged"]] * 2
    assert said[2][0].startswith("repaired: team/app:v1: its link is empty")
    assert said[3][0].startswith("removed: team/app:v1: its link is empty")
    assert said[4][-1] == "nothing is damaged"
    assert json.loads((tmp_path / "fsck.json").read_text())["findings"] == []


def test_retention_page(config: Path, tmp_path: Path, start_server: StartServer) -> None:
    (section,) = (yaml.safe_load(block.text) for block in blocks("retention.md") if block.language == "yaml")
    server = start_server()
    fill(server, *(f"ci/app:{tag}" for tag in ("v1", "latest", "main-1", "1.2", "1.2.3", "pr-1")))
    for path in server.root.rglob("*"):
        os.utime(path, (0, 0))
    document = configuration(server.root, free_port(), "secret")
    document["storage"]["maintenance"]["retention"] = section["storage"]["maintenance"]["retention"]
    document["storage"]["maintenance"]["retention"]["rules"][0]["keep"].pop()  # of pulls nothing is known
    document["storage"]["maintenance"]["retention"]["maxshare"] = 100
    config.write_text(yaml.safe_dump(document))
    said = Reader(tmp_path, environment=configured_by(config)).work_through("retention.md")
    plan, dry, run_, listed, shown, undone = said.values()
    assert sorted(line.split()[1] for line in plan.splitlines() if line.startswith("goes")) == [
        "ci/app:1.2",
        "ci/app:pr-1",
    ]
    assert re.findall(r"^would untag (\S+)", dry, re.MULTILINE) == ["ci/app:1.2", "ci/app:pr-1"]
    assert re.findall(r"^untagged (\S+)", run_, re.MULTILINE) == ["ci/app:1.2", "ci/app:pr-1"]
    assert re.findall(r"^ +1 .*done$", listed, re.MULTILINE)
    assert [line.split()[0] for line in shown.splitlines()] == ["ci/app:1.2", "ci/app:pr-1"]
    assert re.findall(r"^(\S+) restored$", undone, re.MULTILINE) == ["ci/app:1.2", "ci/app:pr-1"]


def test_list_and_delete_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    fill(server, "base:12", "ci/app:pr-1", "ci/app:pr-2", "old/app:v1", "team/api:v1", "team/old:v1")
    fill(server, "team/app:v1", "team/app:v1.1", "team/app:v2", "team/web:v1")
    blob = server.api.push_blob("team/old", b"a layer that no other image has")
    (data,) = server.root.rglob(f"{blob.partition(':')[2]}/data")
    for path in server.root.rglob("*"):
        os.utime(path, (0, 0))
    reader = Reader(
        tmp_path,
        {"http://localhost:5000": server.url},
        answers={"Password: ?$": "a password", r"\[y/N\]: ?$": "y"},
        environment=configured_by(next(tmp_path.glob("*.yml"))),
        skipped={"    UNIQUE": "what a command says", "Manifest  ": "what a command says"},
    )
    said = reader.work_through("list-and-delete.md")
    assert not data.exists()
    assert said["registry ls"].split() == ["base", "ci/app", "old/app", "team/api", "team/app", "team/web"]
    assert said["registry show team/app"].splitlines()[1].split() == ["Tags", "3"]
    assert "team/app:v1" in said["registry show team/app:v1"]
    assert said["registry rm team/app:v1"].startswith("deleted team/app:v1\n")
    assert " with its tags v1.1, v2\n" in said["registry rm team/app:v2 --all-tags"]
    assert "deleted base, the whole repository with 1 tag\n" in said["registry rm base"]
    assert said["registry ls --url http://localhost:5000"].split() == ["team/api", "team/web"]
    assert "team/web:v1" in said["registry tags team/web --url http://localhost:5000 --user alice"]
    assert "deleted team/web:v1\n" in said["registry rm team/web:v1 --url http://localhost:5000 --user alice"]
    assert "sha256:" in next(text for command, text in said.items() if command.startswith("curl -sI"))
    assert json.loads(server.api.get("/v2/team/api/tags/list").body) == {"name": "team/api", "tags": []}


def test_backup_page(start_server: StartServer, tmp_path: Path) -> None:
    require_program("rsync")
    server = start_server()
    fill(server, "team/app:v1", "team/app:v2", "base:12")
    config, backup = next(tmp_path.glob("*.yml")), tmp_path / "backup"
    for directory in ("backup", "etc/distribution", "auth", "certs"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "auth/htpasswd").write_text("alice:!\n")
    (tmp_path / "backup.yml").write_text(yaml.safe_dump(configuration(tmp_path / "copy", free_port(), "secret")))
    copied: list[set[Path]] = []

    def before(command: str) -> None:
        if command.startswith("rsync") and "--exclude=_uploads --exclude=" in command:
            fill(server, "team/app:v3", "new:v1")
        if command.startswith("tar") and "-xzf" in command:
            server.stop()
            copied.append({path.relative_to(server.root) for path in server.root.rglob("link")})
            shutil.rmtree(server.root)
            server.root.mkdir()
            shutil.rmtree(tmp_path / "auth")

    reader = Reader(
        tmp_path,
        {
            "/etc/distribution/config.yml": str(config),
            "/var/lib/registry": str(server.root),
            "/backup": str(backup),
            "tar -C /": f"tar -C {tmp_path}",
        },
        environment=configured_by(config),
        skipped={"python3 -m venv /opt/registry-NEW": "test_package.py installs from the source archive"},
        before=before,
    )
    said = reader.work_through("backup.md")
    assert copied == [{path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("link")}]
    assert (tmp_path / "auth/htpasswd").read_text() == "alice:!\n"
    listed = next(text for command, text in said.items() if command.endswith("registry ls -l"))
    assert re.findall(r"^ *(\d+) .* (\S+)$", listed, re.MULTILINE) == [("1", "base"), ("0", "new"), ("2", "team/app")]
    server.start()
    for name, tags in {"team/app": ["v1", "v2"], "base": ["12"]}.items():
        assert json.loads(server.api.get(f"/v2/{name}/tags/list").body)["tags"] == tags
        for tag in tags:
            manifest = server.api.manifest(name, tag).json()
            for each in (manifest["config"], *manifest["layers"]):
                assert server.api.get(f"/v2/{name}/blobs/{each['digest']}").status == 200


def test_storage_copy_page(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    fill(server, "team/app:v1")
    for name, root in (("FROM.yml", server.root), ("TO.yml", tmp_path / "to")):
        (tmp_path / name).write_text(yaml.safe_dump(configuration(root, server.port, "secret")))
    Reader(tmp_path).work_through("storage-copy.md")
    links = {path.relative_to(server.root) for path in server.root.rglob("link")}
    assert links
    assert links == {path.relative_to(tmp_path / "to") for path in (tmp_path / "to").rglob("link")}


def test_access_control_page(start_server: StartServer, tmp_path: Path) -> None:
    auth = tmp_path / "auth"
    auth.mkdir()
    (auth / "htpasswd").touch()
    settings: dict[str, Any] = next(
        yaml.safe_load(block.text.replace("/auth/", f"{auth}/"))
        for block in blocks("access-control.md")
        if block.text.startswith("auth:\n  local:")
    )
    settings["auth"]["local"]["apikeys"] = str(auth / "apikeys")
    authority = Authority.create(tmp_path / "ca")
    pair = authority.issue("server")
    settings["http"] = {"tls": {"certificate": str(pair.certificate), "key": str(pair.key)}}
    server = start_server(settings=settings, tls=authority.trusting_client())
    address = server.url.replace("127.0.0.1", "localhost")
    config = next(tmp_path.glob("*.yml"))
    made: dict[str, str] = {}

    def key_id() -> str:
        listed = run(PROGRAMS / "registry", "auth", "key", "list", env=configured_by(config))
        made["id"] = re.search(r"\b[0-9a-f]{12}\b", listed)[0]  # type: ignore[index]
        return made["id"]

    def token_id() -> str:
        basic = base64.b64encode(b"alice:a password of alice").decode()
        for client in ("docker", "podman"):
            query = f"service=registry&client_id={client}&offline_token=true"
            answer = server.api.request("GET", f"/auth/token?{query}", headers={"Authorization": f"Basic {basic}"})
            assert answer.json()["refresh_token"]
        login, _ = json.loads(run(PROGRAMS / "registry", "auth", "token", "list", "--json", env=configured_by(config)))
        made["login"] = login["id"]
        return made["login"]

    reader = Reader(
        tmp_path,
        {
            "https://registry.example/": f"{address}/",
            "4f1c9a0be2d7": key_id,
            "9b2e7c51d0a4": token_id,
            "/auth/": f"{auth}/",
        },
        answers={"(?i)password.*: ?$": "a password of alice", "Repeat for confirmation: ?$": "a password of alice"},
        skipped={
            "# GitHub Actions": "only jobs at GitHub and GitLab have such tokens; test_auth_clients.py issues some"
        },
        environment={**configured_by(config), "CURL_CA_BUNDLE": str(authority.path)},
    )
    said = reader.work_through("access-control.md")
    (listed,) = (text for command, text in said.items() if command.startswith("curl"))
    assert json.loads(listed.splitlines()[-1]) == {"repositories": []}
    logins = json.loads(run(PROGRAMS / "registry", "auth", "token", "list", "--json", env=configured_by(config)))
    assert made["login"] in {login["id"] for login in logins}
    assert all(login["revoked"] for login in logins)
    assert made["id"] not in run(PROGRAMS / "registry", "auth", "key", "list", env=configured_by(config))
