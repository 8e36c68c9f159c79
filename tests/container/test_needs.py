from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registry.config.loading import parse
from registry.container.needs import Needs, needs_of, needs_of_environment

if TYPE_CHECKING:
    from pathlib import Path

    from registry.config import Configuration
    from tests.conftest import Configure


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    made = {name: str(tmp_path / name) for name in ("key", "crt", "ca", "htpasswd", "bundle")}
    for path in made.values():
        with open(path, "x"):  # noqa: PTH123  a str
            pass
    return made


def stored_in(storage: dict[str, Any]) -> Configuration:
    return parse(yaml.safe_dump({"version": 0.1, "storage": storage}), "config.yml", {})


def test_a_directory_of_images_is_written_to_with_what_the_registry_keeps_there() -> None:
    needs = needs_of(stored_in({"filesystem": {"rootdirectory": "/data"}}))
    assert needs == Needs(made=frozenset({"/data"}), trees=frozenset({"/data/docker", "/data/registry"}))


@pytest.mark.parametrize("reading", [True, False])
def test_a_storage_that_is_only_read_needs_no_right_to_write(*, reading: bool) -> None:
    maintenance = {} if reading else {"maintenance": {"readonly": {"enabled": True}}}
    needs = needs_of(stored_in({"filesystem": {}, **maintenance}), reading=reading)
    assert needs == Needs(read_trees=frozenset({"/var/lib/registry/docker", "/var/lib/registry/registry"}))


def test_every_file_that_is_named_anywhere_is_read(configuration: Configure, files: dict[str, str]) -> None:
    tls = {"certificate": files["crt"], "key": files["key"], "clientcas": [files["ca"]]}
    token = {"realm": "r", "service": "s", "issuer": "i", "rootcertbundle": files["bundle"]}
    needs = needs_of(configuration(http={"tls": tls, "prefix": "/missing/"}, auth={"token": token}))
    assert needs == Needs(files=frozenset({files["crt"], files["key"], files["ca"], files["bundle"]}))


def test_a_text_that_begins_as_a_path_and_is_too_long_for_one_needs_nothing(configuration: Configure) -> None:
    assert needs_of(configuration(http={"secret": f"/{'a' * 300}"})) == Needs()


@pytest.mark.parametrize(
    ("auth", "directories", "trees"),
    [
        ({"htpasswd": {"realm": "r", "path": "{there}/htpasswd"}}, [], []),
        ({"htpasswd": {"realm": "r", "path": "/auth/htpasswd"}}, ["/auth"], []),
        (
            {"local": {"key": "/keys/k.pem", "tokenpath": "/other/token"}},
            ["/keys"],
            ["/keys/refresh-tokens"],
        ),
        ({"local": {"htpasswd": "/auth/htpasswd"}}, ["/auth"], ["/auth/refresh-tokens"]),
        (
            {"local": {"key": "/keys/k.pem", "refreshtokens": "/logins/r"}},
            ["/keys", "/logins"],
            ["/logins/r"],
        ),
    ],
)
def test_an_access_controller_writes_where_it_makes_files(
    configuration: Configure,
    files: dict[str, str],
    tmp_path: Path,
    auth: dict[str, Any],
    directories: list[str],
    trees: list[str],
) -> None:
    ((name, parameters),) = auth.items()
    placed = {key: value.replace("{there}", str(tmp_path)) for key, value in parameters.items()}
    needs = needs_of(configuration(auth={name: placed}))
    assert (sorted(needs.directories), sorted(needs.trees)) == (directories, trees)
    assert needs.files <= {files["htpasswd"]}


def test_the_directory_of_a_socket_and_that_of_lets_encrypt_are_written_to(configuration: Configure) -> None:
    http = {"net": "unix", "addr": "/sockets/registry", "tls": {"letsencrypt": {"cachefile": "/acme", "hosts": ["a"]}}}
    needs = needs_of(configuration(http=http))
    assert needs == Needs(made=frozenset({"/acme"}), directories=frozenset({"/sockets"}), trees=frozenset({"/acme"}))


def test_files_of_credentials_are_read_wherever_the_libraries_look_for_them(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    for name in (".aws/credentials", "google.json", "other"):
        (tmp_path / name).touch()
    environ = {
        "HOME": str(tmp_path),
        "GOOGLE_APPLICATION_CREDENTIALS": f"{tmp_path}/google.json",
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{tmp_path}/missing",
        "OTHER": f"{tmp_path}/other",
        "TMPDIR": "/var/lib/registry",
    }
    assert needs_of_environment(environ) == Needs(
        files=frozenset({f"{tmp_path}/.aws/credentials", f"{tmp_path}/google.json"}),
        directories=frozenset({"/var/lib/registry"}),
    )


@pytest.mark.parametrize("enabled", [True, False])
def test_the_directory_of_the_index_is_made_where_there_are_pages(configuration: Configure, *, enabled: bool) -> None:
    needs = needs_of(configuration(ui={"enabled": enabled, "index": {"directory": "/cache/index"}}))
    there = frozenset({"/cache/index"} if enabled else ())
    assert needs == Needs(made=there, trees=there)
