"""The pinned requirements of the image against setup.cfg, which they are made from by ``make lock``."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from packaging.markers import Marker

PROJECT = Path(__file__).parents[1]
DOCKER = PROJECT / "deploy/docker"
EXTRAS = re.findall(r"^ARG EXTRAS=\[(.*)\]$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)[0].split(",")


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of a package, for the environments of the marker, and the hashes of its files."""

    version: str
    marker: Marker | None
    hashes: int


def pins(name: str) -> dict[str, list[Pin]]:
    """Give the pins of a file, by the normalized names of their packages."""
    found: dict[str, list[Pin]] = {}
    for text in (DOCKER / name).read_text().replace("\\\n", " ").splitlines():
        line = text.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        pinned, *hashes = re.split(r"\s+--hash=sha256:", line)
        requirement = Requirement(pinned)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        pin = Pin(specifier.version, requirement.marker, len([each for each in hashes if len(each) == 64]))
        found.setdefault(canonicalize_name(requirement.name), []).append(pin)
    return found


def wanted_by_the_project() -> list[Requirement]:
    """Give what setup.cfg asks for, with all extras of the image."""
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    lists = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in EXTRAS)]
    return [Requirement(line) for each in lists for line in each.splitlines() if line]


def wanted_by_the_build() -> list[Requirement]:
    lines = (DOCKER / "build.in").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def unmet(wanted: list[Requirement], pinned: dict[str, list[Pin]]) -> list[str]:
    """Give the requirements that no pin, or a pin of another version, answers."""
    return [
        str(each)
        for each in wanted
        if not (found := pinned.get(canonicalize_name(each.name)))
        or not all(each.specifier.contains(pin.version, prereleases=True) for pin in found)
    ]


def test_every_requirement_of_the_project_is_pinned_as_setup_cfg_allows() -> None:
    assert unmet(wanted_by_the_project(), pins("requirements.txt")) == [], "run make lock"


def test_every_requirement_of_the_build_is_pinned() -> None:
    assert unmet(wanted_by_the_build(), pins("build.txt")) == [], "run make lock"


@pytest.mark.parametrize("name", ["requirements.txt", "build.txt"])
def test_every_pin_has_hashes(name: str) -> None:
    assert [package for package, found in pins(name).items() if not all(pin.hashes for pin in found)] == []


@pytest.mark.parametrize("name", ["requirements.txt", "build.txt"])
def test_what_the_pinned_packages_require_is_pinned_too(name: str) -> None:
    pinned = pins(name)
    wanted: list[Requirement] = []
    for package, found in pinned.items():
        try:
            installed = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue
        # Only of the pinned version is known here what it requires. Building the image asks for all of it.
        if installed.version in {pin.version for pin in found}:
            wanted += [Requirement(text) for text in installed.requires or []]
    applying = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    assert unmet(applying, pinned) == [], "run make lock"


def test_the_extras_that_are_locked_are_those_of_the_image() -> None:
    (locked,) = re.findall(
        r"^LOCKED = \$\(addprefix --extra ,(.*)\)$", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    assert sorted(locked.split()) == sorted(EXTRAS)


def test_a_requirement_that_is_newer_than_its_pin_is_found() -> None:
    pinned = pins("requirements.txt")
    newer = Requirement(f"flask>{pinned['flask'][0].version}")
    assert unmet([newer, Requirement("absent")], pinned) == [str(newer), "absent"]
