from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from registry.oci.reference import Tag
from registry.storage import paths
from tests.commands.stores import CONFIG, OWN, SHARED, configure, fill, push_schema1, run, stored

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("listing")
    fill(directory)
    for number, tag in enumerate(("latest", "v2", "v1")):
        at = 1_700_000_000 + 60 * number
        os.utime(directory / "root" / paths.tag_link("team/app", tag)[1:], (at, at))
    configure(directory)
    return directory


def listed(directory: Path, *arguments: str) -> list[str]:
    done = run(*arguments, "--config", str(directory / "config.yml"))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_repositories_are_listed_one_a_line(directory: Path) -> None:
    assert listed(directory, "ls") == ["base", "team/app", "team/web"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("team/*",), ["team/app", "team/web"]),
        (("**",), ["base", "team/app", "team/web"]),
        (("*",), ["base"]),
        (("te?m/*", "team/**"), ["team/app", "team/web"]),
        (("none*", "base*"), ["base"]),
    ],
)
def test_patterns_choose_repositories_and_each_is_listed_once(
    directory: Path, patterns: tuple[str, ...], expected: list[str]
) -> None:
    assert listed(directory, "ls", *patterns) == expected


def test_a_repository_lists_its_tags_as_other_commands_take_them(directory: Path) -> None:
    assert listed(directory, "ls", "base", "team/app") == [
        *("base:12", "team/app:latest", "team/app:v1", "team/app:v2")
    ]


def test_long_tells_how_many_tags_there_are_and_when_the_last_was_pushed(directory: Path) -> None:
    heading, *lines = listed(directory, "ls", "-l", "team/*")
    assert heading.split() == ["TAGS", "PUSHED", "(UTC)", "REPOSITORY"]
    assert lines[0] == "      3  2023-11-14 22:15  team/app"
    assert lines[1].split()[::3] == ["1", "team/web"]


def test_json_is_an_array(directory: Path) -> None:
    assert json.loads("".join(listed(directory, "ls", "--json"))) == [
        *({"name": name} for name in ("base", "team/app", "team/web"))
    ]
    (app,) = json.loads("".join(listed(directory, "ls", "-l", "--json", "*/app")))
    assert app == {"name": "team/app", "tags": 3, "pushed": "2023-11-14T22:15:20Z"}
    tags = json.loads("".join(listed(directory, "ls", "--json", "base")))
    assert tags == [{"repository": "base", "tag": "12"}]


def test_tags_have_digest_size_platforms_and_time(directory: Path) -> None:
    (web,) = json.loads("".join(listed(directory, "tags", "--json", "team/web")))
    repository = stored(directory).open("team/web")
    digest = repository.tags.resolve(Tag("v1"))
    index = repository.manifests.get(digest)
    (child,) = index.manifests
    pushed = datetime.fromtimestamp(repository.tags.pushed(Tag("v1")), UTC)
    assert web == {
        "repository": "team/web",
        "tag": "v1",
        "digest": str(digest),
        "mediaType": index.media_type,
        "size": len(index.content) + child.size + len(SHARED) + len(OWN + b"team/web") + len(CONFIG),
        "platforms": ["linux/amd64"],
        "pushed": pushed.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    (base,) = json.loads("".join(listed(directory, "tags", "--json", "base:1*")))
    assert base["platforms"] == ["linux/arm64/v8"]


@pytest.mark.parametrize(("order", "expected"), [("name", ["latest", "v1", "v2"]), ("pushed", ["v1", "v2", "latest"])])
def test_tags_are_sorted_by_name_or_the_last_pushed_first(directory: Path, order: str, expected: list[str]) -> None:
    _, *lines = listed(directory, "tags", "--sort", order, "team/app")
    assert [re.search(r"team/app:(\S+)", line)[1] for line in lines] == expected  # type: ignore[index]


def test_tags_are_sorted_by_size_the_largest_first(directory: Path) -> None:
    rows = json.loads("".join(listed(directory, "tags", "--sort", "size", "--json", "**:*")))
    sizes = [row["size"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert rows[0]["repository"] == "team/web"


def test_columns_are_aligned_and_digests_short_unless_asked_for(directory: Path) -> None:
    heading, *lines = listed(directory, "tags", "base", "team/app:*")
    at = heading.index("TAG")
    assert {line[at - 2 : at] for line in lines} == {"  "}
    assert {line[at : at + 5] for line in lines} == {"base:", "team/"}
    assert all(re.search(r"  sha256:[0-9a-f]{12}  ", line) for line in lines)
    _, line = listed(directory, "tags", "--full", "base")
    assert re.search(r"  sha256:[0-9a-f]{64}  base:12 ", line)


def test_a_tag_that_leads_nowhere_and_one_of_schema_1_are_listed(tmp_path: Path) -> None:
    fill(tmp_path)
    configure(tmp_path)
    (tmp_path / "root" / paths.tag_link("base", "12")[1:]).write_text("")
    push_schema1(tmp_path, "team/app", "old")
    rows = json.loads("".join(listed(tmp_path, "tags", "--json", "base", "team/app:old")))
    assert [(row["digest"] is None, row["size"], row["platforms"]) for row in rows] == [
        (True, None, []),
        (False, None, []),
    ]
    _, base, old = listed(tmp_path, "tags", "base", "team/app:old")
    assert "leads nowhere" in base
    assert base.endswith("base:12                   -")
    assert " -  sha256:" in old


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("ls", "none"), 1, "there is no repository none"),
        (("ls", "none/*"), 1, "no repository matches none/*"),
        (("ls", "team"), 1, "there is no repository team"),
        (("ls", "base:12"), 1, "base:12 is more than the name of a repository; for tags: registry tags base:12"),
        (("ls", "base:1*"), 1, "base:1* is more than the name of a repository; for tags: registry tags 'base:1*'"),
        (("ls", "base", "team/*"), 2, "not both"),
        (("ls", "../root"), 1, "'../root' is not NAME"),
        (("ls", ""), 1, "'' is not NAME"),
        (("ls", "--user", "alice"), 2, "go with --url"),
        (("tags",), 2, "Missing argument"),
        (("tags", "none"), 1, "there is no repository none"),
        (("tags", "base:13"), 1, "there is no tag base:13"),
        (("tags", "base:1?3"), 1, "no tag matches base:1?3"),
        (("tags", "base@sha256:" + "0" * 64), 1, "is a manifest"),
    ],
)
def test_what_is_not_there_is_one_line(directory: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    done = run(*arguments, "--config", str(directory / "config.yml"))
    assert (done.returncode, done.stdout) == (status, "")
    assert text in done.stderr.splitlines()[-1]


def test_an_empty_registry_lists_nothing(tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / "root").mkdir()
    assert listed(tmp_path, "ls") == []
    assert listed(tmp_path, "ls", "--json") == ["[]"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(("ls", "--config"), ("tags", "app", "--config"), ("du", "--config"), ("rm", "app:v1", "--config")),
        *(("export", "app", "{}/a.tar", "--config"), ("garbage-collect",), ("referrers", "rebuild")),
    ],
)
def test_a_storage_that_is_not_there_is_one_line_and_is_not_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config = configure(tmp_path)
    done = run(*(each.replace("{}", str(tmp_path)) for each in arguments), config)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("storage error: filesystem: use rootdirectory ")
    assert done.stderr.endswith("; nothing was ever stored there, or the path is mistyped\n")
    assert [each.name for each in tmp_path.iterdir()] == ["config.yml"]


def test_an_empty_path_of_a_configuration_is_one_line(directory: Path) -> None:
    environ = {"REGISTRY_CONFIGURATION_PATH": str(directory / "config.yml")}
    done = run("ls", "--config", "", environ=environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "configuration error: CONFIG: is empty; give the path of a file\n"
