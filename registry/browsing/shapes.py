"""What is found out, as pages, commands and the JSON of the API show it. Sizes are in bytes, times seconds since 1970.

Every text in them but names, tags and digests was written by whoever has pushed: it may be anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.oci.digest import Digest

Kind = Literal["image", "index", "chart", "artifact", "unreadable"]
"""What a manifest is: `image` has a config of a container image, `index` names other manifests, `chart` is helm's."""

Attached = Literal["signature", "sbom", "provenance", "vulnerabilities", "readme", "other"]
"""What a referrer is about."""


@dataclass(frozen=True, slots=True)
class Child:
    """An entry of a level of the tree, by its full `name`: a repository, or what others are nested in, or both."""

    name: str
    is_repository: bool
    has_nested: bool


@dataclass(frozen=True, slots=True)
class Level:
    """What lies directly below `path` ("" is the root), in the order of the catalog.

    If there is more, it comes after `following`. The page that a caller sees has what it may pull, and nothing else.
    `cut` is an end before all names were looked at: none of very many was of that kind.
    """

    path: str
    children: tuple[Child, ...]
    following: str | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag in a list. `digest` is None where it leads nowhere; `size` is what a client pulls, None if unreadable.

    `aliases` are the other tags of the same list that lead to the same manifest.
    """

    name: str
    digest: Digest | None
    media_type: str | None = None
    size: int | None = None
    platforms: tuple[str, ...] = ()
    pushed: float | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TagsPage:
    """A part of the tags of a repository; the next begins after `following`, None if there are no more.

    `total` is how many there are, None if that was not counted. `sort` is the order that they are in, which is ``name``
    where another was asked for and cannot be had without an index.
    """

    rows: tuple[TagRow, ...]
    following: str | None
    total: int | None = None
    sort: str = "name"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image, or a part of an artifact; `title` is its file's name where an annotation says so."""

    digest: Digest
    media_type: str
    size: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the history of an image, as in a Dockerfile, beside the `layer` that it made; None if it made none.

    Layers that no line tells of have a step without an `instruction`.
    """

    instruction: str
    layer: Layer | None
    created: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """A manifest that an index names. `platform` is "" where it says none; `is_attestation` as build tools mark it."""

    digest: Digest
    media_type: str
    size: int
    platform: str
    is_attestation: bool = False
    is_here: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """How a container of an image runs, from its config."""

    os: str = ""
    architecture: str = ""
    created: str = ""
    author: str = ""
    user: str = ""
    working_directory: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """All that is shown of one manifest.

    `size` is that of the manifest, `total` that of all it leads to, each counted once; None if it cannot be read.
    `raw` is the manifest, indented, with escapes for what is not printable; `raw_config` the config likewise, "" if
    there is none that is JSON. Lists that are very long are cut short, then `cut` says so.
    """

    repository: str
    digest: Digest
    kind: Kind
    media_type: str
    size: int
    total: int | None
    artifact_type: str = ""
    tag: str = ""
    pushed: float | None = None
    subject: Digest | None = None
    variants: tuple[Variant, ...] = ()
    steps: tuple[Step, ...] = ()
    layers: tuple[Layer, ...] = ()
    config: Config | None = None
    config_digest: Digest | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    raw: str = ""
    raw_config: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A manifest that refers to another one, by its subject or by a tag as cosign spells them (`tag`).

    `kind` is guessed from types and annotations, and never verified. `nested` are those that refer to this one.
    """

    digest: Digest
    artifact_type: str
    media_type: str
    size: int
    kind: Attached
    annotations: Mapping[str, str]
    tag: str = ""
    nested: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class References:
    """What refers to a manifest; `cut` is whether there is more than is shown."""

    roots: tuple[Reference, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository in a list: how many tags it has, when the last was pushed, how much all that they lead to takes.

    `size` counts what images share once; None as long as it is not known.
    """

    name: str
    tags: int
    pushed: float | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class RepositoriesPage:
    """A part of the repositories; the next begins after `following`, None if there are no more."""

    rows: tuple[RepositoryRow, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """What a search has found: a repository by its name, or a tag in it; `tag` is "" for the repository itself."""

    repository: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """A part of what a search has found: repositories, then tags. The next begins after `following`, None at the end.

    A page may be short, or even empty, though there is more: the work for one is bounded. `complete` says whether all
    of the registry was searched.
    """

    rows: tuple[Hit, ...]
    following: str | None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index is. `complete` is when all of the storage was last read, None if it never was.

    `is_sized` says whether the sizes of all images are known. `repositories`, `tags` and `unread`, the images whose
    sizes are not known yet, are what it had when that was last counted.
    `is_current` says whether it follows what changes; else nothing is looked up in it.
    """

    complete: float | None
    is_sized: bool
    repositories: int
    tags: int
    unread: int
    is_current: bool
