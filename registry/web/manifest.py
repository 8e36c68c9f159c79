"""The page of a manifest, by a tag or by its digest."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from registry.browsing.manifest import details
from registry.browsing.referrers import references
from registry.handlers.context import hand_over
from registry.handlers.looking import looking
from registry.oci.errors import ManifestUnknownError
from registry.web.acting import possible
from registry.web.commands import Target, pull_commands
from registry.web.hosts import image_host
from registry.web.page import render
from registry.web.referrers import KINDS as REFERRER_KINDS
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.browsing.shapes import Config, Details, References
    from registry.handlers.response import Response
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag

_KINDS: Final = {
    "image": "image",
    "index": "image for several platforms",
    "chart": "helm chart",
    "artifact": "artifact",
    "unreadable": "cannot be read",
}
_COUNTED: Final = 100
"""Referrers that are counted for the page."""


def show_manifest(name: str, target: Tag | Digest) -> Response:
    """Show what `target` leads to."""
    visitor().open(name)
    hand_over()
    images = looking().images
    found = details(images, name, target)
    if found is None:
        raise ManifestUnknownError("manifest unknown", str(target))
    referring = references(images.source, name, found.digest, depth=1, limit=_COUNTED)
    return render(
        "manifest.html",
        name=name,
        details=found,
        kind=_KINDS[found.kind],
        possible=possible(visitor(), name),
        commands=pull_commands(_pulled(found), found.kind),
        largest=max((each.size for each in found.layers), default=0) or 1,
        settings=list(_settings(found.config)) if found.config else [],
        references=referring,
        attached=_attached(referring),
    )


def _pulled(found: Details) -> Target:
    """Return the manifest as clients name it who reach this registry as the visitor does."""
    host = image_host()
    return Target(host.name, found.repository, found.digest, found.tag, tls=host.tls)


def _settings(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what a config says of how a container runs, by the words of a Dockerfile where there are some."""
    platform = "/".join(part for part in (config.os, config.architecture) if part)
    told = (
        ("Platform", (platform,)),
        ("Created", (config.created,)),
        ("Author", (config.author,)),
        ("Entrypoint", (_words(config.entrypoint),)),
        ("Command", (_words(config.command),)),
        ("User", (config.user,)),
        ("Working directory", (config.working_directory,)),
        ("Environment", config.environment),
        ("Ports", config.ports),
        ("Volumes", config.volumes),
        ("Stop signal", (config.stop_signal,)),
    )
    for name, values in told:
        text = "\n".join(values)
        if text:
            yield name, text


def _words(words: tuple[str, ...]) -> str:
    """Return a command as a Dockerfile has it, so that one word is told from two: ``["sh", "-c", "a b"]``."""
    return json.dumps(words, ensure_ascii=False) if words else ""


def _attached(referring: References) -> list[tuple[str, str]]:
    """Return how many referrers there are of each kind, "100 or more" where no more were counted."""
    counts = Counter(each.kind for each in referring.roots)
    more = " or more" if referring.cut else ""
    return [(REFERRER_KINDS[kind], f"{number}{more}") for kind, number in counts.items()]
