# ruff: noqa: INP001 - a program of its own, for the Dockerfile
"""Makes the bill of materials of the image of that of its Python packages: python sbom.py DISTRIBUTION SYSTEM FILE.

FILE is CycloneDX in JSON, and is replaced. SYSTEM is a directory with the image's dpkg database (``status``) and its
``os-release``. DISTRIBUTION is the Python package that the image is of.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELDS: Final = ("db:Status-Status", "Package", "Version", "Architecture", "source:Package", "source:Version")


def debian_packages(system: Path) -> Iterator[Component]:
    """Yield what is installed, by the URLs that scanners look up: with the source package, which advisories name."""
    release = dict(line.split("=", 1) for line in shlex.split((system / "os-release").read_text()))
    form = "\t".join(f"${{{field}}}" for field in _FIELDS) + "\n"
    command = ["dpkg-query", f"--admindir={system}", "--show", f"--showformat={form}"]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():  # noqa: S603 - no shell reads it
        status, name, version, architecture, *source = line.split("\t")
        if status == "installed":
            qualifiers = {"arch": architecture, "distro": f"{release['ID']}-{release['VERSION_ID']}"}
            if source != [name, version]:
                qualifiers["upstream"] = "@".join(source)
            url = PackageURL("deb", release["ID"], name, version, qualifiers)
            yield Component(name=name, version=version, purl=url, bom_ref=url.to_string())


def of_image(python: Bom, distribution: str, system: Path) -> Bom:
    """Return the bill of materials of the image, which consists of `distribution`, what that needs, and `system`."""
    (ours,) = (each for each in python.components if each.name == distribution)
    # It is on no index: a scanner would look up whatever has its name there.
    ours.purl = None
    image = Component(name=distribution, version=ours.version, type=ComponentType.CONTAINER, bom_ref="image")
    packages = list(debian_packages(system))
    python.metadata.component = image
    python.components.update(packages)
    python.register_dependency(image, [ours, *packages])
    return python


def main(distribution: str, system: str, file: str) -> None:
    """Write the bill of materials; it is the same whenever it is made of the same packages."""
    python = Bom.from_json(json.loads(Path(file).read_text()))
    python.metadata.timestamp = python.serial_number = None
    text = JsonV1Dot6(of_image(python, distribution, Path(system))).output_as_string(indent=2)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error:
        sys.exit(f"not CycloneDX: {error}")
    Path(file).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
