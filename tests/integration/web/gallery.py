"""What the registry has in it whose pages are looked at: images as people build them, with what is attached to them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.browsing.attached import PROVENANCE_1, TRIVY, envelope, statement
from tests.integration.api import OCI_INDEX, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.integration.api import Api

LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
APP: Final = "shop/storefront"
CHART: Final = "shop/charts/storefront"
MODEL: Final = "research/models/ranker"
PLAIN: Final = ("base/debian", "base/python", "shop/cart", "shop/payments/gateway", "tools/linter")
TAGS: Final = ("1.8.0", "1.9.0", "1.10.0", "1.10.1", "latest")
_RELEASES: Final = 4
_HISTORY: Final = (
    ("/bin/sh -c #(nop) ADD file:3bd10da0673e2e72cb06a1f64a9df49a36341df39b0f762e3d1b38ee4de296fa in / ", False),
    ('/bin/sh -c #(nop)  CMD ["bash"]', True),
    ("ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", True),
    ("WORKDIR /srv/storefront", False),
    ("COPY requirements.txt . # buildkit", False),
    ("RUN /bin/sh -c pip install --no-cache-dir -r requirements.txt # buildkit", False),
    ("COPY storefront ./storefront # buildkit", False),
    ("EXPOSE map[8080/tcp:{}]", True),
    ("USER 10001", True),
    ('ENTRYPOINT ["python" "-m" "storefront"]', True),
)


@dataclass(frozen=True, slots=True)
class Gallery:
    """Digests of what was pushed: the newest `index` and its image for amd64, and what refers to that index."""

    index: str
    image: str
    sbom: str
    signature: str
    report: str
    provenance: str


def fill(api: Api) -> Gallery:
    """Push all of it."""
    for name in PLAIN:
        _tagged(api, name, _image(api, name, "linux", "amd64", name.encode()), ["1", "latest"])
    image = index = ""
    for number, tag in enumerate(TAGS[:_RELEASES]):
        images = [_image(api, APP, "linux", each, f"release {number}".encode()) for each in ("amd64", "arm64")]
        content = _index(images)
        index, image = digest_of(content), digest_of(images[0])
        tags = [tag, "latest"] if number == _RELEASES - 1 else [tag]
        _tagged(api, APP, content, tags, OCI_INDEX)
    _chart(api)
    _artifact(api, MODEL, "application/vnd.example.model", [("ranker.bin", b"w" * 300_000)], tags=["2026-10"])
    sbom = _attach(api, index, OCI_INDEX, "application/spdx+json", json.dumps(_spdx()).encode())
    report = _attach(api, index, OCI_INDEX, "application/json", json.dumps(TRIVY).encode())
    built = json.dumps(envelope(statement("https://slsa.dev/provenance/v1", PROVENANCE_1))).encode()
    provenance = _attach(api, index, OCI_INDEX, "application/vnd.in-toto+json", built)
    signature = _attach(
        api, index, OCI_INDEX, "application/vnd.dev.cosign.artifact.sig.v1+json", b'{"critical": {"type": "signature"}}'
    )
    _attach(
        api,
        index,
        OCI_INDEX,
        "text/markdown",
        b"# Storefront\n\nSells things. Listens on port **8080**.\n",
        "README.md",
    )
    _attach(api, sbom, OCI_MANIFEST, "application/vnd.dev.cosign.artifact.sig.v1+json", b'{"critical": {}}')
    return Gallery(index, image, sbom, signature, report, provenance)


def push(
    api: Api,
    name: str,
    config: tuple[str, bytes],
    layers: Sequence[tuple[Mapping[str, Any], bytes]],
    tags: Sequence[str] = (),
    **more: Any,
) -> str:
    """Push a manifest of `config` (type, content), `layers` (descriptor, content), `more`; its digest is given."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _blob(api, name, config[1], mediaType=config[0]),
        "layers": [_blob(api, name, content, **said) for said, content in layers],
        **more,
    }
    content = json.dumps(manifest).encode()
    _tagged(api, name, content, tags)
    return digest_of(content)


def _image(api: Api, name: str, os: str, architecture: str, seed: bytes) -> bytes:
    """Push an image's parts and give its manifest; early layers are those of every image."""
    sizes = [400_000, 120, 2_000, 900_000, 60_000]
    layers = [
        gzip.compress(_tar({f"file{n}": _noise(size, seed if n > 1 else b"base")}), 1, mtime=0)
        for n, size in enumerate(sizes)
    ]
    config = {
        "created": "2026-10-30T09:12:44Z",
        "os": os,
        "architecture": architecture,
        "config": {
            "User": "10001",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1"],
            "Entrypoint": ["python", "-m", "storefront"],
            "WorkingDir": "/srv/storefront",
            "Labels": {
                "org.opencontainers.image.source": "https://git.example/shop/storefront",
                "org.opencontainers.image.revision": hashlib.sha1(seed, usedforsecurity=False).hexdigest(),
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(each)) for each in layers]},
        "history": [
            {"created": "2026-10-30T09:12:44Z", "created_by": line, **({"empty_layer": True} if empty else {})}
            for line, empty in _HISTORY
        ],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _blob(api, name, json.dumps(config).encode(), mediaType=CONFIG),
        "layers": [_blob(api, name, each, mediaType=LAYER) for each in layers],
    }
    content = json.dumps(manifest).encode()
    _tagged(api, name, content, [])
    return content


def _index(images: Sequence[bytes]) -> bytes:
    entries = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(each),
            "size": len(each),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for each, architecture in zip(images, ("amd64", "arm64"), strict=True)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def _chart(api: Api) -> None:
    files = {
        "storefront/Chart.yaml": b"apiVersion: v2\nname: storefront\nversion: 0.4.1\nappVersion: 1.10.1\n",
        "storefront/README.md": b"# The chart of the storefront\n\n| value | default |\n|---|---|\n| replicas | 2 |\n",
    }
    chart = gzip.compress(_tar(files), mtime=0)
    config = json.dumps({"name": "storefront", "version": "0.4.1", "apiVersion": "v2"}).encode()
    layer = {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip"}
    push(api, CHART, ("application/vnd.cncf.helm.config.v1+json", config), [(layer, chart)], ["0.4.1"])


def _artifact(api: Api, name: str, kind: str, files: Sequence[tuple[str, bytes]], *, tags: Sequence[str]) -> None:
    layers = [
        ({"mediaType": "application/octet-stream", "annotations": {"org.opencontainers.image.title": title}}, content)
        for title, content in files
    ]
    push(api, name, (EMPTY, b"{}"), layers, tags, artifactType=kind)


def _attach(api: Api, subject: str, subject_type: str, kind: str, content: bytes, title: str = "") -> str:
    """Push a referrer of a manifest of APP."""
    size = len(api.manifest(APP, subject).body)
    said: dict[str, Any] = {"mediaType": kind}
    if title:
        said["annotations"] = {"org.opencontainers.image.title": title}
    about = {"mediaType": subject_type, "digest": subject, "size": size}
    return push(api, APP, (EMPTY, b"{}"), [(said, content)], artifactType=kind, subject=about)


def _spdx() -> dict[str, Any]:
    names = {"openssl": "3.0.17", "zlib1g": "1.2.13", "python3.11": "3.11.2", "flask": "3.1.2", "jinja2": "3.1.6"}
    return {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "storefront",
        "packages": [
            {"SPDXID": f"SPDXRef-{name}", "name": name, "versionInfo": version, "licenseConcluded": "NOASSERTION"}
            for name, version in names.items()
        ],
    }


def _tagged(api: Api, name: str, content: bytes, tags: Sequence[str], media_type: str = OCI_MANIFEST) -> None:
    for reference in tags or [digest_of(content)]:
        answer = api.put_manifest(name, reference, content, media_type)
        assert answer.status == 201, answer.body


def _blob(api: Api, name: str, content: bytes, **said: Any) -> dict[str, Any]:
    api.push_blob(name, content)
    return {**said, "digest": digest_of(content), "size": len(content)}


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Give an archive of files, dated as none is."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, each in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(each)
            archive.addfile(member, io.BytesIO(each))
    return written.getvalue()


def _noise(size: int, seed: bytes) -> bytes:
    return hashlib.shake_128(seed).digest(size)
