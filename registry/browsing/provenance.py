"""How an image was built, as whoever built it says (SLSA provenance 0.1, 0.2 and 1)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.browsing.untrusted import Node

PREDICATES: Final = "https://slsa.dev/provenance/"
MOST_MATERIALS: Final = 500

_BUILDKIT_METADATA: Final = ("https://mobyproject.org/buildkit@v1#metadata", "buildkit_metadata")
_REVISIONS: Final = ("gitCommit", "sha1")


@dataclass(frozen=True, slots=True)
class Material:
    """What went into a build; `digest` is ``algorithm:hex``, or "" where none is told."""

    uri: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a provenance claims; texts are "" where it says nothing. `cut`: there are more materials than are shown."""

    version: str
    builder: str = ""
    build_type: str = ""
    source: str = ""
    revision: str = ""
    started: str = ""
    finished: str = ""
    materials: tuple[Material, ...] = ()
    cut: bool = False


def provenance(predicate_type: str, predicate: Node) -> Provenance | None:
    """Return what a predicate says of a build; None if it is of another type."""
    if not predicate_type.startswith(PREDICATES):
        return None
    version = predicate_type.removeprefix(PREDICATES)
    return _version_1(version, predicate) if predicate.has("buildDefinition") else _version_0(version, predicate)


def _version_0(version: str, predicate: Node) -> Provenance:
    source = predicate.at("invocation", "configSource")
    if not source.has("uri"):
        # Version 0.1 names one of the materials by its number.
        source = predicate.at("recipe")
    materials = _materials(predicate, "materials")
    said_source, said_revision = _told_by_buildkit(predicate.at("metadata"))
    uri = said_source or source.text("uri")
    return Provenance(
        version,
        predicate.text("builder", "id"),
        predicate.text("buildType") or predicate.text("recipe", "type"),
        uri,
        said_revision or _revision(source) or _revision_of(uri, predicate, "materials"),
        predicate.text("metadata", "buildStartedOn"),
        predicate.text("metadata", "buildFinishedOn"),
        materials[:MOST_MATERIALS],
        len(materials) > MOST_MATERIALS,
    )


def _version_1(version: str, predicate: Node) -> Provenance:
    definition, details = predicate.at("buildDefinition"), predicate.at("runDetails")
    parameters = definition.at("externalParameters")
    materials = _materials(definition, "resolvedDependencies")
    said_source, said_revision = _told_by_buildkit(details.at("metadata"))
    uri = (
        said_source
        or parameters.text("workflow", "repository")
        or parameters.text("configSource", "uri")
        or parameters.text("source", "uri")
        or parameters.text("source")
    )
    return Provenance(
        version,
        details.text("builder", "id"),
        definition.text("buildType"),
        uri,
        said_revision
        or _revision(parameters.at("configSource"))
        or _revision(parameters.at("source"))
        or _revision_of(uri, definition, "resolvedDependencies"),
        details.text("metadata", "startedOn"),
        details.text("metadata", "finishedOn"),
        materials[:MOST_MATERIALS],
        len(materials) > MOST_MATERIALS,
    )


def _materials(parent: Node, name: str) -> tuple[Material, ...]:
    return tuple(
        Material(each.text("uri") or each.text("name"), _digest(each))
        for each in islice(parent.each(name), MOST_MATERIALS + 1)
    )


def _digest(material: Node) -> str:
    return next((f"{algorithm}:{value.text()}" for algorithm, value in material.members("digest")), "")


def _told_by_buildkit(metadata: Node) -> tuple[str, str]:
    """Return the source and its revision where BuildKit, which knows a Dockerfile and a context, has been told them."""
    for name in _BUILDKIT_METADATA:
        if source := metadata.text(name, "vcs", "source"):
            return source, metadata.text(name, "vcs", "revision")
    return "", ""


def _revision(source: Node) -> str:
    return next((text for name in _REVISIONS if (text := source.text("digest", name))), "")


def _revision_of(uri: str, parent: Node, name: str) -> str:
    """Return the revision of the material that is the source `uri`."""
    wanted = _bare(uri)
    materials = (each for each in islice(parent.each(name), MOST_MATERIALS) if wanted)
    return next((_revision(each) for each in materials if _bare(each.text("uri")) == wanted), "")


def _bare(uri: str) -> str:
    """Return a source's URI without what says how it is fetched, and which revision of it."""
    return (
        uri.removeprefix("git+").partition("#")[0].rpartition("@refs/")[0] or uri.removeprefix("git+").partition("#")[0]
    )
