"""Servers that keep an index: what is pushed to one of them is soon in the index of each."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registry.config.loading import load
from registry.index import schema
from registry.index.reader import Index
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import image
from tests.index.hosts import everything
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.serving import Serving


def overlay(root: Path, directory: Path) -> dict[str, Any]:
    return {
        "storage": {"filesystem": {"rootdirectory": str(root)}},
        "ui": {"enabled": True, "index": {"directory": str(directory)}},
    }


def push(server: Serving, name: str, tag: str) -> Digest:
    config = json.dumps({"os": "linux", "architecture": "amd64", "of": tag}).encode()
    uploaded = server.request("POST", f"/v2/{name}/blobs/uploads/?digest={Digest.of(config)}", config)
    assert uploaded.status == 201
    content = image(config)
    pushed = server.request("PUT", f"/v2/{name}/manifests/{tag}", content, {"Content-Type": media_types.OCI_MANIFEST})
    assert pushed.status == 201
    return Digest.of(content)


def index_of(home: Path, directory: Path) -> Index:
    configuration = load(str(home / "config.yml"), {})
    return Index(schema.path_in(str(directory)), schema.identity_of(configuration), b"")


def tags(index: Index, name: str) -> dict[str, Digest | None]:
    page = index.tags(name)
    return {row.name: row.digest for row in page.rows} if page else {}


def wait_for(index: Index, name: str, expected: Mapping[str, Digest]) -> None:
    """Return when the index has these tags of the repository, and no others."""
    wait_until(f"the index has {expected} of {name}", lambda: tags(index, name) == expected)


def test_what_is_pushed_to_one_host_and_deleted_on_another_is_soon_in_the_index_of_both(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    directories = [home / "index" for home in homes]
    with (
        serving(homes[0], overlay(tmp_path / "root", directories[0])) as one,
        serving(homes[1], overlay(tmp_path / "root", directories[1])) as two,
    ):
        indexes = [index_of(home, directory) for home, directory in zip(homes, directories, strict=True)]
        wait_until("both have an index", lambda: all(index.repositories("name", everything) for index in indexes))
        digest = push(one, "team/app", "v1")
        for index in indexes:
            wait_for(index, "team/app", {"v1": digest})
            wait_until("its size is known", partial(_is_sized, index))
        assert two.request("DELETE", "/v2/team/app/manifests/v1").status == 202
        for index in indexes:
            wait_for(index, "team/app", {})


def test_the_index_is_made_anew_while_the_server_runs_whatever_becomes_of_it(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    with serving(tmp_path, overlay(tmp_path / "root", directory)) as server:
        index = index_of(tmp_path, directory)
        first = push(server, "app", "v1")
        wait_for(index, "app", {"v1": first})
        for harm in (Path.unlink, partial(os.truncate, length=100)):
            path = schema.path_in(str(directory))
            inode = path.stat().st_ino
            harm(path)
            wait_until("there is another file", partial(_is_another, path, inode))
            wait_for(index, "app", {"v1": first})
        _kill_process_for_jobs(server)
        second = push(server, "app", "v2")
        wait_for(index, "app", {"v1": first, "v2": second})
        assert server.get("/v2/").status == 200
        assert "Traceback" not in server.log()


def test_what_is_pushed_while_the_index_is_switched_off_is_in_it_once_it_is_on_again(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    with serving(tmp_path, overlay(tmp_path / "root", directory)) as server:
        index = index_of(tmp_path, directory)
        first = push(server, "app", "v1")
        wait_for(index, "app", {"v1": first})
        _reload(server, tmp_path, index="")
        second = push(server, "app", "v2")
        _reload(server, tmp_path, index=str(directory))
        wait_for(index, "app", {"v1": first, "v2": second})


def _reload(server: Serving, home: Path, *, index: str) -> None:
    """Let the server keep an index in this directory from now on, "" for none."""
    path = home / "config.yml"
    configuration = yaml.safe_load(path.read_text())
    configuration["ui"] = {"enabled": True, "index": {"directory": index}} if index else {"enabled": True}
    path.write_text(yaml.safe_dump(configuration))
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_until("all processes are new", lambda: server.workers() and not before & server.workers())


def _is_sized(index: Index) -> bool:
    progress = index.progress()
    return progress is not None and progress.is_sized


def _is_another(path: Path, inode: int) -> bool:
    return path.exists() and path.stat().st_ino != inode


def _kill_process_for_jobs(server: Serving) -> None:
    (line,) = [line for line in server.log().splitlines() if "periodic work has a process of its own: " in line]
    os.kill(int(line.partition("its own: ")[2].split('"')[0].split()[0]), signal.SIGKILL)


@pytest.mark.parametrize("readonly", [True, False])
def test_where_nothing_else_reads_the_journal_no_cursor_is_kept_and_no_lease_held(
    tmp_path: Path, *, readonly: bool
) -> None:
    directory = tmp_path / "index"
    configured = overlay(tmp_path / "root", directory)
    configured["storage"]["maintenance"] = {"readonly": {"enabled": readonly}}
    (tmp_path / "root").mkdir()
    with serving(tmp_path, configured) as server:
        index = index_of(tmp_path, directory)
        if not readonly:
            push(server, "app", "v1")
        wait_until("there is an index", lambda: index.repositories("name", everything) is not None)
        wait_until("it is complete", lambda: readonly or bool(tags(index, "app")))
    kept = {path.name for path in (tmp_path / "root" / "registry").glob("*")} if not readonly else set()
    assert "leases" not in kept
    assert not (tmp_path / "root" / "registry" / "journal" / "cursors").exists()
