"""Sample content made on this machine: OCI layouts that every client pushes and pulls."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from registry.foundation.extras import DISTRIBUTION
from tests.integration.api import OCI_INDEX, OCI_MANIFEST, Api, digest_of
from tests.integration.clients import finish, require_program, run

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
ARCHITECTURES = ("amd64", "arm64")
DEBOOTSTRAP_SECONDS = 600

Descriptor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI image layout on disk."""

    path: Path

    @staticmethod
    def create(path: Path) -> Layout:
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": []}))
        return Layout(path)

    def blob_path(self, digest: str) -> Path:
        return self.path / "blobs" / digest.replace(":", "/")

    def add(self, media_type: str, content: bytes) -> Descriptor:
        digest = digest_of(content)
        self.blob_path(digest).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def add_document(self, media_type: str, document: Any) -> Descriptor:
        return self.add(media_type, json.dumps(document, separators=(",", ":")).encode())

    def add_image(self, layers: list[Descriptor], diff_ids: list[str], architecture: str) -> Descriptor:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/busybox", "echo", "ran"], "Env": ["PATH=/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.add_document(CONFIG_TYPE, config),
            "layers": layers,
        }
        return self.add_document(OCI_MANIFEST, manifest)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Name a manifest in index.json, where clients look for it."""
        index = json.loads((self.path / "index.json").read_bytes())
        index["manifests"].append(descriptor | {"annotations": {"org.opencontainers.image.ref.name": name}})
        (self.path / "index.json").write_text(json.dumps(index))

    def tagged(self, name: str | None = None) -> Descriptor:
        """Give the descriptor of the tag, or of the only manifest that the layout has."""
        found: list[Descriptor] = [
            descriptor
            for descriptor in json.loads((self.path / "index.json").read_bytes())["manifests"]
            if name in (None, descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name"))
        ]
        assert len(found) == 1, found
        return found[0]

    def document(self, digest: str) -> Any:
        return json.loads(self.blob_path(digest).read_bytes())

    def digests(self) -> set[str]:
        return {f"sha256:{path.name}" for path in (self.path / "blobs/sha256").iterdir()}

    def push(self, api: Api, repository: str, descriptor: Descriptor, tag: str | None = None) -> None:
        """Push a manifest with all it refers to, without any client."""
        document = self.document(descriptor["digest"])
        for child in document.get("manifests", []):
            self.push(api, repository, child)
        for blob in [document["config"], *document["layers"]] if "layers" in document else []:
            api.push_blob(repository, self.blob_path(blob["digest"]).read_bytes())
        reference = tag or descriptor["digest"]
        content = self.blob_path(descriptor["digest"]).read_bytes()
        answer = api.put_manifest(repository, reference, content, descriptor["mediaType"])
        assert answer.status == 201, answer


@dataclass(frozen=True, slots=True)
class Samples:
    """The sample contents; `debian`, `multi` and `amd64` are tags of the layout as well."""

    layout: Layout
    debian: Descriptor
    multi: Descriptor
    amd64: Descriptor
    artifact: Descriptor


def make_samples(path: Path, rootfs_tar: Path) -> Samples:
    """Make the Debian image, the small multi-architecture index and an artifact about its amd64 image."""
    layout = Layout.create(path)
    debian = _debian_image(layout, rootfs_tar)
    images = {architecture: _busybox_image(layout, architecture) for architecture in ARCHITECTURES}
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [image | {"platform": {"os": "linux", "architecture": name}} for name, image in images.items()],
    }
    multi = layout.add_document(OCI_INDEX, index)
    amd64 = images["amd64"]
    artifact = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.sbom",
        "config": layout.add(EMPTY_TYPE, b"{}"),
        "layers": [layout.add("application/spdx+json", b'{"spdxVersion":"SPDX-2.3"}')],
        "subject": amd64,
        "annotations": {"org.example.kind": "sbom"},
    }
    for name, descriptor in {"debian": debian, "multi": multi, "amd64": amd64}.items():
        layout.tag(name, descriptor)
    return Samples(layout, debian, multi, amd64, layout.add_document(OCI_MANIFEST, artifact))


def debian_rootfs() -> Path:
    """Give a tar file with a small Debian system, made once by debootstrap and kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / DISTRIBUTION
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    rootfs_tar = cache / f"debian-{suite}.tar"
    if rootfs_tar.exists():
        return rootfs_tar
    program = require_program("debootstrap")
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"debian-{suite}-{os.getpid()}"
    run(
        program,
        "--variant=minbase",
        suite,
        root,
        *_configured_mirror(suite),
        timeout_seconds=DEBOOTSTRAP_SECONDS,
    )
    unfinished = rootfs_tar.with_suffix(f".{os.getpid()}")
    run("tar", "--sort=name", "--numeric-owner", "--create", "--file", unfinished, "--directory", root, ".")
    unfinished.rename(rootfs_tar)
    run("rm", "--recursive", "--one-file-system", root)
    return rootfs_tar


def busybox_layer(architecture: str) -> bytes:
    """Give a tar file with a static busybox and a file that tells the architectures apart."""
    busybox = Path(require_program("busybox")).read_bytes()
    files = {"bin/busybox": (busybox, 0o755), "etc/architecture": (architecture.encode(), 0o644)}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, (data, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _busybox_image(layout: Layout, architecture: str) -> Descriptor:
    layer = busybox_layer(architecture)
    compressed = layout.add(LAYER_TYPE, gzip.compress(layer, mtime=0))
    return layout.add_image([compressed], [digest_of(layer)], architecture)


def _debian_image(layout: Layout, rootfs_tar: Path) -> Descriptor:
    """Split the file system into layers: what changes seldom, what changes often, the rest.

    The layers are stored by gzip, not squeezed: they stay over 100 MB together and cost no time.
    """
    layers: list[Descriptor] = []
    diff_ids: list[str] = []
    for top in (None, "usr", "var"):
        with tarfile.open(rootfs_tar) as source:
            descriptor, diff_id = _layer(layout, source, (m for m in source if _top_of(m) == top))
        layers.append(descriptor)
        diff_ids.append(diff_id)
    return layout.add_image(layers, diff_ids, ARCHITECTURES[0])


def _top_of(member: tarfile.TarInfo) -> str | None:
    top = member.name.removeprefix("./").partition("/")[0]
    return top if top in {"usr", "var"} else None


def _layer(layout: Layout, source: tarfile.TarFile, members: Iterable[tarfile.TarInfo]) -> tuple[Descriptor, str]:
    unfinished = layout.path / "unfinished"
    with ExitStack() as stack:
        raw = _Hashed(stack.enter_context(unfinished.open("wb")))
        squeezed = stack.enter_context(gzip.GzipFile("", "wb", 0, raw, 0))
        plain = _Hashed(squeezed)
        archive = stack.enter_context(tarfile.open(fileobj=plain, mode="w|"))
        for member in members:
            archive.addfile(member, source.extractfile(member) if member.isreg() else None)
    descriptor = {"mediaType": LAYER_TYPE, "digest": raw.digest, "size": unfinished.stat().st_size}
    unfinished.rename(layout.blob_path(raw.digest))
    return descriptor, plain.digest


class _Hashed(io.RawIOBase):
    """A file to write to that knows the digest of what was written."""

    def __init__(self, target: IO[bytes] | gzip.GzipFile) -> None:
        self._target = target
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sha256.update(data)
        return self._target.write(data)


def _configured_mirror(suite: str) -> list[str]:
    """Give the mirror that apt is configured to use; without one debootstrap chooses."""
    listed = finish("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {suite}")
    return listed.stdout.split()[:1]
