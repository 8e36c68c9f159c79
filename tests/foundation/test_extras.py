from __future__ import annotations

import configparser
import json
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.foundation.extras import DISTRIBUTION, installing

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parents[2]
ROOMS = ("docs", "deploy", "registry", "drivers", "auth")
BY_NAME = re.compile(rf"install\b[^\n]*?[ '\"]{DISTRIBUTION}\b", re.IGNORECASE)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a distribution of this name look installed, with this record of where it is from."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, record: object = None) -> None:
        metadata = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        if record:
            (metadata / "direct_url.json").write_text(json.dumps(record))

    return install


def arguments(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    assert program == sys.executable
    assert rest[:3] == ["-m", "pip", "install"]
    return rest[3:]


def test_name_of_the_distribution_is_that_of_setup_cfg() -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    assert setup["metadata"]["name"] == DISTRIBUTION


def test_extra_is_installed_from_where_the_registry_was(installed: Callable[..., None]) -> None:
    installed(DISTRIBUTION, {"url": "file:///srv/the%20source", "dir_info": {}})
    assert arguments(installing("s3")) == ["/srv/the source[s3]"]


def test_extra_of_a_checkout_is_installed_so_that_it_stays_editable(installed: Callable[..., None]) -> None:
    installed(DISTRIBUTION, {"url": "file:///srv/source", "dir_info": {"editable": True}})
    assert arguments(installing("s3")) == ["--editable", "/srv/source[s3]"]


@pytest.mark.parametrize("record", [None, {"url": "https://example.com/r.git", "vcs_info": {"vcs": "git"}}])
def test_our_own_name_is_never_what_to_install(record: object, installed: Callable[..., None]) -> None:
    installed(DISTRIBUTION, record)
    assert arguments(installing("s3")) == ["/path/to/the/source[s3]"]


def test_plugin_from_an_index_is_installed_by_its_name(installed: Callable[..., None]) -> None:
    installed("registry-tape")
    assert arguments(installing("tape", "registry-tape")) == ["registry-tape[tape]"]


def test_plugin_from_a_directory_is_installed_from_there(installed: Callable[..., None]) -> None:
    installed("registry-tape", {"url": "file:///srv/tape", "dir_info": {}})
    assert arguments(installing("tape", "registry-tape")) == ["/srv/tape[tape]"]


def test_distribution_that_is_not_installed_has_no_record() -> None:
    assert arguments(installing("tape", "nobody-has-this")) == ["nobody-has-this[tape]"]


def test_nothing_that_users_read_advises_to_install_it_by_name() -> None:
    """The name is free on the package index, so whoever takes it there is a stranger."""
    assert BY_NAME.search(f"pip install '{DISTRIBUTION}[s3]'")
    files = [path for room in ROOMS for path in (PROJECT / room).rglob("*") if path.suffix in {".md", ".py", ".yml"}]
    files += [*PROJECT.glob("*.md"), *PROJECT.glob("*file"), PROJECT / "setup.cfg"]
    assert [path for path in files if BY_NAME.search(path.read_text())] == []
