"""What the storage root holds, read without the servers."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGEST = re.compile(r"(?P<algorithm>sha256|sha384|sha512):(?P<hex>[0-9a-f]{64,128})")


def faults(root: Path) -> list[str]:
    """List what is wrong in the tree: blobs that hash wrong, links that lead nowhere, manifests without content."""
    base = root / "docker/registry/v2"
    return [*_wrong_blobs(base), *_dangling_links(base), *_incomplete_manifests(base)]


def stored(root: Path) -> dict[str, bytes]:
    """Give what is published: a digest of every file that no upload owns, by its path."""
    base = root / "docker/registry/v2"
    files = (path for path in sorted(base.rglob("*")) if path.is_file() and "_uploads" not in path.parts)
    return {str(path.relative_to(base)): _hash(path, "sha256").encode() for path in files}


def uploads(root: Path) -> list[Path]:
    """Give the directories of unfinished uploads."""
    repositories = root / "docker/registry/v2/repositories"
    return [path for parent in repositories.rglob("_uploads") for path in sorted(parent.iterdir())]


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()


def _wrong_blobs(base: Path) -> Iterator[str]:
    for path in sorted(base.glob("blobs/*/*/*/data")):
        prefix, name = path.parts[-3:-1]
        algorithm = path.parts[-4]
        if not name.startswith(prefix) or _hash(path, algorithm) != name:
            yield f"{path}: the content is another"


def _blob_path(base: Path, digest: str) -> Path:
    algorithm, _, name = digest.partition(":")
    return base / "blobs" / algorithm / name[:2] / name / "data"


def _dangling_links(base: Path) -> Iterator[str]:
    for path in sorted((base / "repositories").rglob("link")):
        target = path.read_text()
        if not DIGEST.fullmatch(target):
            yield f"{path}: no digest: {target!r}"
        elif "_referrers" not in path.parts and not _blob_path(base, target).is_file():
            yield f"{path}: no content for {target}"


def _incomplete_manifests(base: Path) -> Iterator[str]:
    for repository in sorted(path.parent for path in (base / "repositories").rglob("_manifests")):
        revisions = repository / "_manifests/revisions"
        for link in sorted((repository / "_manifests/tags").glob("*/current/link")):
            if not (revisions / link.read_text().replace(":", "/") / "link").is_file():
                yield f"{link}: the tag's revision is not linked"
        for link in sorted(revisions.glob("*/*/link")):
            path = _blob_path(base, link.read_text())
            manifest = json.loads(path.read_bytes()) if path.is_file() else {}
            for blob in [*manifest.get("layers", []), *filter(None, [manifest.get("config")])]:
                if not (repository / "_layers" / blob["digest"].replace(":", "/") / "link").is_file():
                    yield f"{link}: {blob['digest']} is not linked"
