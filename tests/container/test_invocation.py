from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.cli import commands
from registry.container.invocation import Invocation, read_arguments
from registry.container.needs import Needs

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config"
    path.write_text(TEXT.format(root="/one"))
    return str(path)


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_is_recognized(name: str) -> None:
    assert read_arguments([name], {}).name == name


@pytest.mark.parametrize("arguments", [[], ["--version"], ["-h"]])
def test_without_a_command_nothing_is_needed(arguments: list[str]) -> None:
    assert read_arguments(arguments, {}).name == ""


def test_a_command_without_a_configuration_needs_nothing() -> None:
    assert read_arguments(["doctor", "http://localhost"], {}).needs({"TMPDIR": "/var/lib/registry"}) == Needs()


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "{config}"],
        ["serve", "{config}", "more"],
        ["garbage-collect", "--dry-run", "-m", "{config}"],
        ["garbage-collect", "--delete-untagged=true", "{config}"],
        ["referrers", "rebuild", "{config}"],
        ["import", "--config", "{config}", "missing.tar"],
        ["auth", "key", "list", "--config", "{config}"],
        ["htpasswd", "--config={config}", "alice"],
        ["--unknown", "serve", "{config}"],
    ],
)
def test_the_configuration_is_the_one_that_the_command_reads(arguments: list[str], config: str) -> None:
    found = read_arguments([each.format(config=config) for each in arguments], {})
    assert found.configuration
    path, loaded = found.configuration
    assert (path, loaded.storage.parameters) == (config, {"rootdirectory": "/one"})
    assert "/one" in found.needs({}).made
    assert config in found.needs({}).files


@pytest.mark.parametrize(
    ("arguments", "credentials"),
    [
        (["htpasswd", "alice"], {"/auth/users"}),
        (["auth", "key", "list"], {"/auth/users"}),
        (["htpasswd", "--file", "/other", "alice"], {"/other"}),
        (["auth", "key", "create", "--file=/keys", "--user", "ci", "--expires", "1d"], {"/keys"}),
    ],
)
def test_files_of_users_and_keys_are_those_of_the_command_or_else_of_the_configuration(
    tmp_path: Path, arguments: list[str], credentials: set[str]
) -> None:
    path = tmp_path / "config.yml"
    path.write_text(TEXT.format(root="/one") + "auth: {htpasswd: {realm: r, path: /auth/users}}\n")
    assert read_arguments(arguments, {"REGISTRY_CONFIGURATION_PATH": str(path)}).credentials == credentials


def test_keys_in_the_storage_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(TEXT.format(root="/one") + "auth: {local: {htpasswd: /auth/users, apikeys: storage, rules: []}}\n")
    found = read_arguments(["auth", "key", "list"], {"REGISTRY_CONFIGURATION_PATH": str(path)})
    assert found.credentials == {"/auth/users"}


def test_without_a_configuration_it_is_the_one_of_the_variable(config: str) -> None:
    found = read_arguments(["serve"], {"REGISTRY_CONFIGURATION_PATH": config})
    assert found.configuration
    assert found.configuration[0] == config


def test_a_configuration_that_is_wrong_is_left_to_the_command_but_must_be_readable(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("storage: none")
    found = read_arguments(["serve", str(path)], {})
    assert found.configuration is None
    assert found.needs({}).files == {str(path)}


def test_a_copy_reads_one_storage_and_writes_to_the_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yml").write_text(TEXT.format(root=f"/{name}"))
    needs = read_arguments(["storage", "copy", f"{tmp_path}/one.yml", f"{tmp_path}/two.yml"], {}).needs({})
    assert needs.read_trees == {"/one/docker", "/one/registry"}
    assert needs.trees == {"/two/docker", "/two/registry"}
    assert needs.made == {"/two"}


def test_an_archive_that_is_imported_is_read_and_one_that_is_exported_is_not_there_yet(
    tmp_path: Path, config: str
) -> None:
    archive, environ = tmp_path / "a.tar", {"REGISTRY_CONFIGURATION_PATH": config}
    assert read_arguments(["export", "a:1", str(archive)], environ).files == {config}
    archive.touch()
    assert read_arguments(["import", str(archive)], environ).files == {config, str(archive)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--help"],
        ["serve", "{config}", "-h"],
        ["rm", "--help"],
        ["rm", "-h"],
        ["-h", "serve", "{config}"],
        ["--version", "serve", "{config}"],
        ["-v", "garbage-collect", "{config}"],
        ["garbage-collect", "-m", "{config}", "--help"],
        ["auth", "-h", "key"],
        ["auth", "key", "create", "--help"],
        ["htpasswd", "--help", "alice"],
    ],
)
def test_what_only_shows_something_is_nothing_that_needs_anything(arguments: list[str], config: str) -> None:
    environ = {"REGISTRY_CONFIGURATION_PATH": config, "TMPDIR": "/var/lib/registry"}
    assert read_arguments([each.format(config=config) for each in arguments], environ) == Invocation()


@pytest.mark.parametrize(
    ("arguments", "only_reads"),
    [
        (["fsck", "--deep", "CONFIG"], True),
        (["fsck", "--repair", "CONFIG"], False),
        (["fsck", "--prune", "CONFIG"], False),
        (["fsck", "--relink", "CONFIG"], False),
        (["garbage-collect", "--dry-run", "{config}"], True),
        (["garbage-collect", "-m", "-d", "{config}"], True),
        (["garbage-collect", "-md", "{config}"], True),
        (["garbage-collect", "{config}"], False),
        (["rm", "-n", "a:1"], True),
        (["rm", "--dry-run", "a:1"], True),
        (["rm", "a:1", "--", "-n"], False),
        (["htpasswd", "--list"], True),
        (["htpasswd", "alice"], False),
        (["auth", "key", "list"], True),
        (["auth", "key", "revoke", "list"], False),
        (["auth", "explain", "a", "b", "pull"], True),
        (["serve", "{config}"], False),
    ],
)
def test_a_command_that_only_reads_is_told_by_its_name_and_flags(
    arguments: list[str], config: str, *, only_reads: bool
) -> None:
    environ = {"REGISTRY_CONFIGURATION_PATH": config}
    found = read_arguments([each.format(config=config) for each in arguments], environ)
    assert (found.name, found.only_reads) == (arguments[0], only_reads)


def test_where_nothing_is_pushed_no_directory_of_temporary_files_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    text = "version: 0.1\nstorage: {filesystem: {}, maintenance: {readonly: {enabled: %s}}}\n"
    environ = {"TMPDIR": "/var/lib/registry"}
    path.write_text(text % "true")
    assert read_arguments(["serve", str(path)], environ).needs(environ).directories == frozenset()
    path.write_text(text % "false")
    assert read_arguments(["serve", str(path)], environ).needs(environ).directories == {"/var/lib/registry"}


def test_only_a_server_writes_elsewhere_than_to_the_storage(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(TEXT.format(root="/one") + "auth: {local: {key: /keys/k.pem, tokenpath: /token}}\n")
    assert read_arguments(["serve", str(path)], {}).needs({}).trees >= {"/keys/refresh-tokens"}
    assert read_arguments(["garbage-collect", str(path)], {}).needs({}).trees == {"/one/docker", "/one/registry"}


@pytest.mark.parametrize(
    "arguments", [["serve", "/nonexist.yml"], ["storage", "copy", "/a.yml", "/b.yml"], ["import", "/missing.tar"]]
)
def test_a_file_that_is_missing_is_left_to_the_command(arguments: list[str]) -> None:
    assert read_arguments(arguments, {"REGISTRY_CONFIGURATION_PATH": "/nonexist.yml"}).needs({}).files == frozenset()
