"""A base image made on this machine, under the name that the Dockerfile expects."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.clients import run
from tests.integration.content import debian_rootfs

if TYPE_CHECKING:
    from tests.integration.engine import Engine

PROJECT = Path(__file__).parents[2]
BUILD_SECONDS = 900


def build_image(engine: Engine, directory: Path, tag: str = "registry") -> None:
    """Build the project's image; the base is debootstrap's, because no public registry can be reached."""
    make_base(engine, directory, base_name())
    engine.docker("build", "--network=host", "--tag", tag, PROJECT, timeout_seconds=BUILD_SECONDS)


def base_name() -> str:
    """Give the name of the Dockerfile's base image."""
    (base,) = re.findall(r"^ARG BASE=(\S+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    return str(base)


def make_base(engine: Engine, directory: Path, name: str) -> None:
    """Make a Debian base image whose pip asks the same index as ours."""
    context = directory / "base"
    context.mkdir()
    engine.docker("import", debian_rootfs(), "debootstrap")
    lines = ["[global]"]
    dockerfile = ["FROM debootstrap", "COPY pip.conf /etc/pip.conf"]
    for option, value in _pip_options().items():
        path = Path(value)
        if path.exists():
            # A certificate or a directory of packages of this machine.
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, context / option)
            dockerfile.append(f"COPY {option} /machine/{option}")
            value = f"/machine/{option}"  # noqa: PLW2901  where the image has it
        lines.append(f"{option} = {value}")
    (context / "pip.conf").write_text("\n".join(lines) + "\n")
    (context / "Dockerfile").write_text("\n".join(dockerfile) + "\n")
    engine.docker("build", "--tag", name, context)


def _pip_options() -> dict[str, str]:
    """Give pip's options, from its files and from the environment; the environment comes last and wins."""
    listed = run(sys.executable, "-m", "pip", "config", "list")
    found = re.findall(r"^(global|:env:)\.([a-z-]+)='(.*)'$", listed, re.MULTILINE)
    return {option: value for _, option, value in sorted(found, key=lambda each: each[0] == ":env:")}
