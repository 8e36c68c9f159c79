"""What people type to pull an image, a chart or an artifact, by the client that they have."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.browsing.shapes import Kind
    from registry.oci.digest import Digest
    from registry.web.hosts import ImageHost


@dataclass(frozen=True, slots=True)
class Target:
    """A manifest as clients name it: by its `tag`, or where that is "" by its `digest`.

    `host` is what the names of images begin with; without `tls` clients have to be told so.
    """

    host: str
    repository: str
    digest: Digest
    tag: str = ""
    tls: bool = True

    @property
    def reference(self) -> str:
        """Return the name of the image: ``registry.example/app:1.0``."""
        return f"{self.host}/{self.repository}" + (f":{self.tag}" if self.tag else f"@{self.digest}")


@dataclass(frozen=True, slots=True)
class Command:
    """A line for a shell, by which the client called so pulls."""

    client: str
    line: str


_PLAIN_HTTP: Final = {
    "podman": "--tls-verify=false",
    "crane": "--insecure",
    "skopeo": "--src-tls-verify=false",
    "helm": "--plain-http",
    "oras": "--plain-http",
}
"""How a client is told that there is no TLS. Docker has no option for that: its daemon is configured."""


def pull_commands(target: Target, kind: Kind) -> list[Command]:
    """Return the commands for a manifest of this kind, those of its usual client first."""
    if kind == "chart":
        return [_helm(target), _oras(target)]
    if kind == "artifact":
        return [_oras(target), _skopeo(target)]
    return [
        _command("docker", target, ["pull", target.reference]),
        _command("podman", target, ["pull", target.reference]),
        _command("crane", target, ["pull", target.reference, f"{_file_name(target)}.tar"]),
        _skopeo(target),
    ]


def push_commands(host: ImageHost) -> list[Command]:
    """Return the commands that push an image to this host, by clients that have it already."""
    image = f"{host.name}/alpine"
    podman, skopeo = ([], []) if host.tls else (["--tls-verify=false"], ["--dest-tls-verify=false"])
    return [
        Command("docker", f"docker tag alpine {image} && docker push {image}"),
        Command("podman", shlex.join(["podman", "push", *podman, "alpine", image])),
        Command("skopeo", shlex.join(["skopeo", "copy", *skopeo, "docker-daemon:alpine:latest", f"docker://{image}"])),
    ]


def _helm(target: Target) -> Command:
    """Return helm's command; a version may have a plus sign, for which helm writes an underscore into the tag."""
    chart = f"oci://{target.host}/{target.repository}"
    if target.tag:
        return _command("helm", target, ["pull", chart, "--version", target.tag.replace("_", "+")])
    return _command("helm", target, ["pull", f"{chart}@{target.digest}"])


def _oras(target: Target) -> Command:
    return _command("oras", target, ["pull", target.reference])


def _skopeo(target: Target) -> Command:
    layout = f"oci:{_file_name(target)}" + (f":{target.tag}" if target.tag else "")
    return _command("skopeo", target, ["copy", f"docker://{target.reference}", layout])


def _command(client: str, target: Target, words: Sequence[str]) -> Command:
    """Return the command of `words`, of which the first is what the client is to do."""
    flag = _PLAIN_HTTP.get(client, "")
    plain = [flag] if flag and not target.tls else []
    return Command(client, shlex.join([client, words[0], *plain, *words[1:]]))


def _file_name(target: Target) -> str:
    """Return what a file for the image is called: the last component of its repository."""
    return target.repository.rpartition("/")[2]
