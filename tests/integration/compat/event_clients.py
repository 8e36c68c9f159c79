"""What docker, skopeo and crane do to a registry: pushes, pulls, mounts, deletes. The image has one layer."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.api import digest_of
from tests.integration.clients import require_program, run
from tests.integration.compat.events import Case
from tests.integration.content import LAYER_TYPE, Layout, busybox_layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.compat.events import Target
    from tests.integration.engine import Engine


IMAGE = "imported:v1"


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients with an image, which a layout has and docker's archive."""

    engine: Engine
    layout: Layout
    directory: Path

    @staticmethod
    def create(engine: Engine, directory: Path) -> Clients:
        layer = busybox_layer("amd64")
        (directory / "layer.tar").write_bytes(layer)
        layout = Layout.create(directory / "layout")
        compressed = layout.add(LAYER_TYPE, gzip.compress(layer, mtime=0))
        engine.docker("import", directory / "layer.tar", IMAGE)
        engine.docker("save", "--output", directory / "image.tar", IMAGE)
        engine.docker("rmi", IMAGE)
        layout.tag("v1", layout.add_image([compressed], [digest_of(layer)], "amd64"))
        return Clients(engine, layout, directory)

    def cases(self) -> Iterator[Case]:
        # They pull a layer and the config at a time; crane pushes so, too.
        yield Case("docker", self.docker, frozenset({"pulls"}))
        yield Case("skopeo", self.skopeo, frozenset({"pulls"}))
        yield Case("crane", self.crane, frozenset({"changes", "pulls"}))

    def docker(self, target: Target, repository: str) -> None:
        docker = self.engine.docker
        first, second = f"{target.host}/{repository}/a:v1", f"{target.host}/{repository}/b:v1"
        docker("load", "--input", self.directory / "image.tar")
        docker("tag", IMAGE, first)
        docker("push", first)
        docker("push", first)
        docker("rmi", first, IMAGE)
        docker("pull", first)
        docker("tag", first, second)
        docker("push", second)
        docker("rmi", first, second)

    def skopeo(self, target: Target, repository: str) -> None:
        skopeo = require_program("skopeo")
        copy = (skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false")
        first, second = f"docker://{target.host}/{repository}/a:v1", f"docker://{target.host}/{repository}/b:v1"
        run(*copy, f"oci:{self.layout.path}:v1", first)
        run(*copy, first, f"dir:{self.directory}/skopeo-{target.api.port}")
        run(*copy, first, second)
        run(skopeo, "inspect", "--tls-verify=false", first)
        run(skopeo, "delete", "--tls-verify=false", second)

    def crane(self, target: Target, repository: str) -> None:
        crane = (require_program("crane"), "--insecure")
        first, second = f"{target.host}/{repository}/a", f"{target.host}/{repository}/b"
        run(*crane, "push", self.layout.path, f"{first}:v1")
        run(*crane, "pull", f"{first}:v1", self.directory / f"crane-{target.api.port}.tar")
        run(*crane, "copy", f"{first}:v1", f"{second}:v1")
        run(*crane, "tag", f"{second}:v1", "v2")
        digest = run(*crane, "digest", f"{second}:v2").strip()
        run(*crane, "delete", f"{second}@{digest}")
