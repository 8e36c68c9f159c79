"""Listing and deleting at a URL: real servers of ours, with each way to log in."""

from __future__ import annotations

import base64
import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.auth.files import line
from tests.commands.stores import configure, fill, run, stored
from tests.serving import serving

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.serving import Serving

PASSWORD = "correct horse"


@contextmanager
def serving_filled(directory: Path, overlay: Mapping[str, object] | None = None) -> Iterator[Serving]:
    fill(directory)
    with serving(directory, overlay) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_filled(tmp_path_factory.mktemp("remote")) as running:
        yield running


@pytest.fixture(scope="module", params=["htpasswd", "local"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A registry with Basic authentication, and one with tokens, in which alice may do everything."""
    directory = tmp_path_factory.mktemp(request.param)
    (directory / "htpasswd").write_text(line("alice", PASSWORD) + line("bob", PASSWORD))
    local = {
        "htpasswd": str(directory / "htpasswd"),
        "rules": [{"repositories": "**", "user:alice": ["*"]}, {"repositories": "base", "user:bob": ["pull"]}],
    }
    parameters = {"realm": "r", "path": str(directory / "htpasswd")} if request.param == "htpasswd" else local
    with serving_filled(directory, {"auth": {request.param: parameters}}) as running:
        yield running


def asked(
    server: Serving, *arguments: str, stdin: str = "", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # Without a file of docker's, unless the test names one.
    environ = {"DOCKER_CONFIG": "/nonexistent", **(environ or {})}
    return run(*arguments, "--url", server.url, stdin=stdin, environ=environ)


def test_what_is_there_is_listed_as_on_the_storage(server: Serving) -> None:
    directory = server.stdout.parent
    config = str(directory / "config.yml")
    for arguments in (("ls",), ("ls", "team/*"), ("ls", "team/app"), ("ls", "team/app", "--json")):
        assert asked(server, *arguments).stdout == run(*arguments, "--config", config).stdout != ""
    on_storage = json.loads(run("tags", "**:*", "--json", "--config", config).stdout)
    over_http = json.loads(asked(server, "tags", "**:*", "--json").stdout)
    assert over_http == [row | {"pushed": None} for row in on_storage]
    assert [row["tags"] for row in json.loads(asked(server, "ls", "-l", "--json").stdout)] == [1, 3, 1]


def test_what_is_shown_is_what_is_shown_of_the_storage_but_for_the_time(server: Serving) -> None:
    config = str(server.stdout.parent / "config.yml")
    for name in ("team/web:v1", "team/app:latest"):
        on_storage = json.loads(run("show", name, "--json", "--config", config).stdout)
        over_http = json.loads(asked(server, "show", name, "--json").stdout)
        assert on_storage["manifest"].pop("pushed") > 0
        assert over_http["manifest"].pop("pushed") is None
        assert over_http == on_storage
        raw = asked(server, "show", name, "--raw").stdout
        assert raw == run("show", name, "--raw", "--config", config).stdout != ""


def test_the_first_tags_of_a_repository_are_shown_as_none_is_known_to_be_the_last(server: Serving) -> None:
    lines = asked(server, "show", "team/app").stdout.splitlines()
    assert lines[3] == "Tags:"
    assert [line.split()[-2] for line in lines[5:]] == ["latest", "v1", "v2"]


def test_sizes_are_those_of_what_tags_lead_to(server: Serving) -> None:
    config = str(server.stdout.parent / "config.yml")
    on_storage = by_name(run("du", "--json", "--config", config))
    over_http = by_name(asked(server, "du", "--json"))
    assert over_http["base"] == on_storage["base"]
    assert over_http["team/app"] == on_storage["team/app"]
    # The signature of the index has no tag.
    assert over_http["team/web"]["total"] < on_storage["team/web"]["total"]


def by_name(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    return {row["name"]: row for row in json.loads(done.stdout)["repositories"]}


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("ls", "none"), 1, "there is no repository none"),
        (("ls", "none/*"), 1, "no repository matches none/*"),
        (("tags", "base:13"), 1, "there is no tag base:13"),
        (("tags", "base", "--sort", "pushed"), 2, "does not tell when a tag was pushed"),
        (("du", "none"), 1, "no repository is called none"),
        (("rm", "base:13"), 1, "there is no tag base:13"),
        (("rm", "none", "--yes"), 1, "there is no repository none"),
        (("rm", "base@sha256:" + "0" * 64), 1, "there is no manifest base@sha256:0000"),
        (("rm", "**"), 1, "this would delete base, the whole repository with 1 tag and 2 more: give --yes"),
        (("ls", "--password-stdin"), 2, "--password-stdin goes with --user"),
        (("ls", "--user", ":x"), 2, "is empty"),
        (("ls", "--config", "/nonexistent.yml"), 2, "not both"),
        (("ls", "--ca-file", "/nonexistent"), 2, "/nonexistent"),
    ],
)
def test_what_cannot_be_done_is_one_line(server: Serving, arguments: tuple[str, ...], status: int, text: str) -> None:
    done = asked(server, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert text in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        ("http://127.0.0.1:1", 1, "127.0.0.1:1: [Errno 111] Connection refused"),
        ("http://127.0.0.1:99999", 2, "a port is at most 65535"),
        ("http://127.0.0.1:0", 2, "a port is at least 1"),
        ("http://127.0.0.1:x", 2, "it is not HOST:PORT"),
        ("ftp://127.0.0.1", 2, "must be http://HOST"),
        ("http://[::1", 2, "must be http://HOST"),
        ("http://h/?x=1", 2, "must be http://HOST"),
        ("", 2, "must be http://HOST"),
    ],
)
def test_a_url_where_no_registry_can_be_is_one_line(url: str, status: int, text: str) -> None:
    done = run("ls", "--url", url, environ={"DOCKER_CONFIG": "/nonexistent"})
    assert (done.returncode, done.stdout) == (status, "")
    assert text in done.stderr.splitlines()[-1]


def test_a_registry_without_tls_that_is_asked_by_it_is_one_line_with_the_way_out(server: Serving) -> None:
    host = server.url.removeprefix("http://")
    done = run("ls", "--url", host, environ={"DOCKER_CONFIG": "/nonexistent"})
    assert (done.returncode, done.stderr) == (1, f"Error: {host}: it does not speak TLS: is http:// meant?\n")


def test_tags_manifests_and_repositories_are_deleted(tmp_path: Path) -> None:
    with serving_filled(tmp_path) as server:
        done = asked(server, "rm", "team/app:v1")
        assert (done.returncode, done.stdout) == (0, "deleted team/app:v1\n")
        assert "registry garbage-collect --delete-untagged" in done.stderr
        assert asked(server, "ls", "team/app").stdout == "team/app:latest\nteam/app:v2\n"
        done = asked(server, "rm", "team/app:v2", "--all-tags", "--dry-run")
        assert done.stdout.endswith(" with its tags latest, v2\n")
        assert asked(server, "rm", "team/app:v2", "--all-tags", "--yes").returncode == 0
        assert asked(server, "ls").stdout == "base\nteam/web\n"
        # With the index go its image and its signature, which no tag leads to, so nothing is left to be listed.
        done = asked(server, "rm", "team/web", "--yes", "--json")
        assert json.loads(done.stdout) == [{"repository": "team/web", "tags": 1}]
        assert list(stored(tmp_path).catalog.names()) == ["base"]


def test_a_repository_goes_in_one_request_where_the_registry_allows_it(tmp_path: Path) -> None:
    with serving_filled(tmp_path, {"http": {"extensions": {"enabled": True}}}) as server:
        assert asked(server, "rm", "team/app", "--yes").returncode == 0
        assert list(stored(tmp_path).catalog.names()) == ["base", "team/web"]
        # Also what no tag leads to, and the links to its blobs.
        assert list(stored(tmp_path).catalog.linking()) == ["base", "team/web"]


def test_a_registry_that_deletes_nothing_is_told_of_in_a_line(tmp_path: Path) -> None:
    with serving_filled(tmp_path, {"storage": {"delete": {"enabled": False}}}) as server:
        for arguments in (("base:12",), ("base", "--yes")):
            done = asked(server, "rm", *arguments)
            assert (done.returncode, done.stdout) == (1, "")
            assert "is not deleted: 405: storage.delete.enabled is false there" in done.stderr
            assert done.stderr.count("\n") == 1
        assert asked(server, "ls").stdout == "base\nteam/app\nteam/web\n"


@pytest.mark.parametrize("arguments", [("ls",), ("tags", "team/app"), ("du",)])
def test_a_login_is_needed_and_a_password_comes_from_where_it_was_put(
    guarded: Serving, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    stranger = asked(guarded, *arguments)
    if guarded.stdout.parent.name.startswith("local") and arguments != ("tags", "team/app"):
        # To everybody the catalog shows what they may pull.
        assert (stranger.returncode, "team" in stranger.stdout) == (0, False)
    else:
        assert (stranger.returncode, stranger.stdout) == (1, "")
        assert stranger.stderr.count("\n") == 1
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {guarded.url[7:]: {"auth": base64.b64encode(f"alice:{PASSWORD}".encode()).decode()}}})
    )
    answers = [
        asked(guarded, *arguments, "--user", "alice", "--password-stdin", stdin=f"{PASSWORD}\n"),
        asked(guarded, *arguments, "--user", f"alice:{PASSWORD}"),
        asked(guarded, *arguments, environ={"DOCKER_CONFIG": str(tmp_path)}),
        run(*arguments, "--url", guarded.url.replace("http://", "http://alice:correct%20horse@")),
    ]
    assert {(done.returncode, done.stderr) for done in answers} == {(0, "")}
    assert len({done.stdout for done in answers}) == 1
    wrong = asked(guarded, *arguments, "--user", "alice:wrong")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "401" in wrong.stderr
    assert "wrong" not in wrong.stderr


def test_who_may_delete_does(guarded: Serving) -> None:
    user = ("--user", f"alice:{PASSWORD}")
    assert asked(guarded, "rm", "team/web:v1", *user).stdout == "deleted team/web:v1\n"
    assert asked(guarded, "ls", "team/web", *user).stdout == ""


def test_who_may_only_pull_is_told_so_and_sees_the_size_of_what_is_named(guarded: Serving) -> None:
    if "local" not in (guarded.stdout.parent / "config.yml").read_text():
        assert asked(guarded, "ls", "--user", f"bob:{PASSWORD}").stdout == "base\nteam/app\nteam/web\n"
        return
    user = ("--user", f"bob:{PASSWORD}")
    done = asked(guarded, "rm", "base:12", *user)
    assert (done.returncode, done.stdout) == (1, "")
    assert "base:12 is not deleted: 403 DENIED: bob may not delete base" in done.stderr
    assert json.loads(asked(guarded, "du", "base", "--json", *user).stdout)["repositories"][0]["name"] == "base"
    assert asked(guarded, "ls", *user).stdout == "base\n"


def test_nothing_of_the_configuration_is_needed(server: Serving, tmp_path: Path) -> None:
    shutil.copy(configure(tmp_path), tmp_path / "broken.yml")
    (tmp_path / "broken.yml").write_text("{")
    environ = {"REGISTRY_CONFIGURATION_PATH": str(tmp_path / "broken.yml")}
    assert asked(server, "ls", environ=environ).returncode == 0
