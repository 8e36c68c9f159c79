"""The source archive is complete, and what is installed from it as the page says is all there."""

from __future__ import annotations

import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import pytest

from registry import __version__
from registry.foundation.extras import DISTRIBUTION
from tests.integration.clients import run
from tests.integration.pages import PROJECT, Reader

PAGE: Final = "installing.md"
ARCHIVE: Final = f"{DISTRIBUTION.replace('-', '_')}-{__version__}"
BUILD_SECONDS: Final = 600
MADE: Final = re.compile(r"PKG-INFO|[^/]*\.egg-info/.*")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source archive and the wheel, which is made of the source archive alone."""
    directory = tmp_path_factory.mktemp("archives")
    source = directory / "clone"
    run("git", "clone", "--quiet", PROJECT, source)
    run(sys.executable, "-m", "build", "--outdir", directory, source, timeout_seconds=BUILD_SECONDS)
    return directory


def test_source_archive_has_every_file_of_the_project(archives: Path) -> None:
    with tarfile.open(archives / f"{ARCHIVE}.tar.gz") as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    tracked = set(run("git", "-C", archives / "clone", "ls-files").split())
    assert {name for name in files if not MADE.fullmatch(name)} == tracked


def test_wheel_has_the_packages_and_what_belongs_below_share(archives: Path) -> None:
    wheel = zipfile.ZipFile(archives / f"{ARCHIVE}-py3-none-any.whl")
    shared = {name.partition("/data/")[2] for name in wheel.namelist() if "/data/" in name}
    deploy = archives / "clone/deploy"
    assert shared == {str(path.relative_to(deploy)) for path in (deploy / "share").rglob("*") if path.is_file()}
    rooms = {name.partition("/")[0] for name in wheel.namelist()}
    assert rooms == {"registry", "drivers", "auth", f"{ARCHIVE}.dist-info", f"{ARCHIVE}.data"}
    pages = archives / "clone/registry/web"
    loaded = {str(path.relative_to(pages)) for each in ("templates", "static") for path in (pages / each).iterdir()}
    assert loaded <= {name.removeprefix("registry/web/") for name in wheel.namelist()}
    metadata = wheel.read(f"{ARCHIVE}.dist-info/METADATA").decode()
    assert {"License-Expression: Apache-2.0", "License-File: LICENSE"} <= set(metadata.splitlines())


def test_installing_page(archives: Path, tmp_path: Path) -> None:
    run("tar", "-xzf", archives / f"{ARCHIVE}.tar.gz", "-C", tmp_path)
    for directory in ("bin", "share"):
        (tmp_path / "local" / directory).mkdir(parents=True)
    places = {"/opt/registry": f"{tmp_path}/registry", "/usr/local": f"{tmp_path}/local"}
    path = f"{tmp_path}/local/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = Reader(tmp_path / ARCHIVE, places, environment={"PATH": path}).work_through(PAGE)
    assert said["registry --version"] == f"registry {DISTRIBUTION} v{__version__}\n"
    shared = {path.name for path in (tmp_path / "local/share").rglob("*") if path.is_file()}
    assert shared == {"registry.1", "registry", "_registry", "registry.fish"}
