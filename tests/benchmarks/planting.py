"""A large tree of a registry, made in a minute or two: many images with their blobs, some of which are garbage."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH102, PTH103, PTH108

from __future__ import annotations

import json
import os
from contextlib import suppress

from registry.oci.digest import Digest
from registry.storage import paths
from tests.integration.api import OCI_MANIFEST
from tests.integration.content import CONFIG_TYPE, LAYER_TYPE

BLOBS_OF_AN_IMAGE = 5
"""A manifest, a config and three layers, of which no other image has any."""
DELETED = 10
"""One of so many images was deleted: its five blobs are garbage."""

_IN_A_REPOSITORY = 100
_TEAMS = 30
_CONTENT = b"x" * 1000
"""Of every config and layer. No collector reads it, so one file of a repository has all their names."""


def plant_images(root: str, count: int) -> None:
    """Write `count` images, each with a tag, into the tree of a registry whose directory is `root`."""
    os.makedirs(root, exist_ok=True)
    content = f"{root}/content"
    for number in range(count):
        repository = number // _IN_A_REPOSITORY
        if number % _IN_A_REPOSITORY == 0:
            # ext4 allows 65,000 names of a file.
            with suppress(FileNotFoundError):
                os.unlink(content)
            _write(content, _CONTENT)
        name = f"team-{repository % _TEAMS}/app-{repository}"
        blobs = [Digest.of(f"{part} of {number}".encode()) for part in range(BLOBS_OF_AN_IMAGE - 1)]
        for blob in blobs:
            os.link(content, _placed(root + paths.blob_data(blob)))
            _write(root + paths.layer_link(name, blob), str(blob).encode())
        manifest = _manifest(blobs)
        digest = Digest.of(manifest)
        _write(root + paths.blob_data(digest), manifest)
        if number % DELETED:
            tag = f"v1.{number % _IN_A_REPOSITORY}"
            link = _write(root + paths.revision_link(name, digest), str(digest).encode())
            for other in (paths.tag_link(name, tag), paths.tag_history_link(name, tag, digest)):
                os.link(link, _placed(root + other))
    os.unlink(content)


def _manifest(blobs: list[Digest]) -> bytes:
    config, *layers = [{"digest": str(blob), "size": len(_CONTENT)} for blob in blobs]
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": CONFIG_TYPE, **config},
        "layers": [{"mediaType": LAYER_TYPE, **layer} for layer in layers],
    }
    return json.dumps(document).encode()


def _placed(name: str) -> str:
    """Return `name` once there is a directory for it."""
    directory = name.rpartition("/")[0]
    try:
        os.mkdir(directory)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(directory)
    return name


def _write(name: str, content: bytes) -> str:
    fd = os.open(_placed(name), os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(fd, content)
    os.close(fd)
    return name
