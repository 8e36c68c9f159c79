from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points, packages_distributions
from typing import TYPE_CHECKING, Any

import pytest

import registry.plugins
from auth.controllers.anonymous import AnonymousController
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.foundation.errors import ParameterError
from registry.foundation.extras import DISTRIBUTION, installing
from registry.plugins import PluginError, load_access, load_driver

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AZURE = {"accountname": "acc", "container": "images"}
LOGIN = {"type": "client_secret", "clientid": "c", "tenantid": "t", "secret": "s"}


class _PickyController(AnonymousController):
    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> _PickyController:
        raise ParameterError(f"realm: missing among {sorted(parameters)}")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of all groups; what a test appends is installed too."""
    plugins = [
        EntryPoint("filesystem", "drivers.filesystem.driver:FilesystemDriver", "registry.drivers"),
        EntryPoint("none", "auth.anonymous:AnonymousController", "registry.access"),
    ]

    def entry_points(**wanted: Any) -> EntryPoints:
        return EntryPoints(plugins).select(**wanted)

    # importlib.metadata reads the environment's own files: installing into it would need a network
    monkeypatch.setattr(registry.plugins, "entry_points", entry_points)
    return plugins


def test_a_driver_is_built_from_its_parameters(tmp_path: Path) -> None:
    driver = load_driver("filesystem", {"rootdirectory": str(tmp_path)})

    assert isinstance(driver, FilesystemDriver)
    assert driver.local_path("/a") == f"{tmp_path}/a"


def test_the_drivers_that_ship_with_the_registry_are_found_by_name() -> None:
    assert isinstance(load_driver("inmemory", {}), InMemoryDriver)
    assert isinstance(load_access("none", {}), AnonymousController)


def test_an_unknown_driver_is_one_line_that_lists_the_known_ones() -> None:
    with pytest.raises(PluginError, match=r"^storage\.floppy: unknown, .*\bfilesystem, .*\binmemory\b.*$"):
        load_driver("floppy", {})


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("filesytem", r"s3aws \(is filesystem meant\?\)"),
        ("none", "s3aws; write, for example, storage: {filesystem: .*"),
    ],
)
def test_an_unknown_driver_is_asked_about_or_told_what_to_write(name: str, end: str) -> None:
    with pytest.raises(PluginError, match=rf"^storage\.{name}: unknown, must be one of .*, {end}$"):
        load_driver(name, {})


@pytest.mark.parametrize(
    ("name", "end"), [("htpaswd", r" \(is htpasswd meant\?\)"), ("ldap", "; write, for example, auth: {htpasswd: .*")]
)
def test_an_unknown_controller_is_asked_about_or_told_what_to_write(name: str, end: str) -> None:
    with pytest.raises(PluginError, match=rf"^auth\.{name}: unknown, must be one of .*{end}$"):
        load_access(name, {})


def test_an_unknown_controller_is_one_line_that_lists_the_known_ones() -> None:
    with pytest.raises(PluginError, match=r"^auth\.ldap: unknown, .*\bnone\b.*$"):
        load_access("ldap", {})


@pytest.mark.parametrize("name", ["swift", "oss"])
def test_a_driver_that_registry_3_dropped_is_refused_with_an_alternative(name: str) -> None:
    with pytest.raises(PluginError, match=rf"^storage\.{name}: .*registry:3.*\bs3\b.*$"):
        load_driver(name, {})


def test_somebody_elses_swift_driver_is_not_refused(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("swift", "drivers.inmemory:InMemoryDriver", "registry.drivers"))

    assert isinstance(load_driver("swift", {}), InMemoryDriver)


def test_a_wrong_parameter_of_a_driver_is_one_line_naming_its_section() -> None:
    with pytest.raises(PluginError, match=r"^storage\.filesystem: maxthreads: .*'many'$"):
        load_driver("filesystem", {"maxthreads": "many"})


def test_a_wrong_parameter_of_a_controller_is_one_line_naming_its_section(
    installed: list[EntryPoint],
) -> None:
    installed.append(EntryPoint("picky", f"{__name__}:_PickyController", "registry.access"))

    with pytest.raises(PluginError, match=r"^auth\.picky: realm: missing among \['x'\]$"):
        load_access("picky", {"x": 1})


@pytest.mark.parametrize(
    ("name", "parameters", "warnings"),
    [
        ("inmemory", {"size": 1}, ["size: unknown, ignored"]),
        ("filesystem", {"rootdirectroy": "/x"}, ["rootdirectroy: unknown, ignored (is rootdirectory meant?)"]),
        ("s3aws", {"bucket": "b", "region": "r", "bukcet": "c"}, ["bukcet: unknown, ignored"]),
        ("gcs", {"bucket": "b", "endpoint": "http://[::1]:1", "rootdirectry": "x"},
         ["rootdirectry: unknown, ignored (is rootdirectory meant?)"]),
        ("azure", AZURE | {"connectionstring": "unused", "credentials": LOGIN | {"tenant": "typo"}},
         ["credentials.tenant: unknown, ignored"]),
        ("azure", AZURE | {"accountkey": "a2V5", "credentials": LOGIN | {"type": "shared_key"}}, []),
    ],
)  # fmt: skip
def test_a_parameter_that_a_driver_does_not_know_is_ignored_aloud(
    name: str, parameters: dict[str, object], warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (driver,) = entry_points(group="registry.drivers", name=name)
    pytest.importorskip(driver.module, reason="its extra is not installed", exc_type=ImportError)

    load_driver(name, parameters)

    assert caplog.messages == [f"storage.{name}.{warning}" for warning in warnings]


def test_a_missing_sdk_is_one_line_naming_the_extra(
    installed: list[EntryPoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cloudy.py").write_text("import cloud_sdk_that_nobody_has\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    installed.append(EntryPoint("cloud", "cloudy:CloudDriver", "registry.drivers"))

    with pytest.raises(PluginError) as caught:
        load_driver("cloud", {})

    assert str(caught.value) == (
        f"storage.cloud: No module named 'cloud_sdk_that_nobody_has'; try: {installing('cloudy')}"
    )


def test_loading_a_driver_imports_no_flask() -> None:
    program = (
        "import sys; from registry.plugins import load_driver; load_driver('inmemory', {});"
        "assert not {'flask', 'werkzeug'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("package", ["auth", "drivers", "registry"])
def test_no_other_installed_distribution_owns_our_generic_names(package: str) -> None:
    assert set(packages_distributions()[package]) == {DISTRIBUTION}
