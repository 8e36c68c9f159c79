"""What refers to a manifest: signatures, bills of materials, and whatever else is attached to it by others."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from registry.browsing.foreign import Shown, read_object
from registry.browsing.shapes import Reference, References
from registry.inventory.source import Described, described
from registry.inventory.walking import found_in
from registry.oci.reference import is_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from registry.browsing.shapes import Attached
    from registry.inventory.source import Reader
    from registry.oci.digest import Digest

_COSIGN: Final[Mapping[str, Attached]] = {".sig": "signature", ".att": "other", ".sbom": "sbom"}
"""What the tags that cosign makes of a digest end with, and what the manifest is there unless it says more."""
_LONGEST_HEX: Final = 64
"""Characters of a digest in the tag that has a list of referrers ("Referrers Tag Schema")."""
_PREDICATES: Final = ("predicateType", "in-toto.io/predicate-type", "dev.sigstore.bundle.predicateType")
"""Annotations that say what an attestation is about."""
_KINDS: Final[tuple[tuple[str, Attached], ...]] = (
    ("spdx", "sbom"),
    ("cyclonedx", "sbom"),
    ("syft", "sbom"),
    ("sbom", "sbom"),
    ("slsa", "provenance"),
    ("provenance", "provenance"),
    ("vuln", "vulnerabilities"),
    ("sarif", "vulnerabilities"),
    ("trivy", "vulnerabilities"),
    ("markdown", "readme"),
    ("readme", "readme"),
    ("signature", "signature"),
    ("cosign", "signature"),
    ("sigstore", "signature"),
)
"""Parts of types, and what is attached of such a type; the first that fits counts."""


def references(source: Reader, repository: str, digest: Digest, depth: int = 3, limit: int = 100) -> References:
    """Return what refers to a manifest, which need not be there, and what refers to that, to this `depth`.

    Each manifest is there once, and there are at most `limit`. The tags of cosign, and the tag of a list of referrers,
    are looked for of `digest` only.

    Raises:
        InventoryError: it cannot be read.
    """
    look = _Look(source, repository, limit)
    look.take(digest, look.tagged(digest))
    wave = [digest]
    for _ in range(depth):
        listed = source.each(look.listed, wave)
        wave = [child for parent, found in zip(wave, listed, strict=True) for child in look.take(parent, found)]
    if not depth:
        return References(())
    return References(look.below(digest), look.cut)


def attached_as(artifact_type: str, annotations: Mapping[str, str], otherwise: Attached = "other") -> Attached:
    """Return what a manifest of that type is about, as its annotations and its type let one guess."""
    predicates = [annotations.get(name, "") for name in _PREDICATES]
    for text in [*predicates, artifact_type]:
        for part, kind in _KINDS:
            if part in text.lower():
                return kind
    return otherwise


@dataclass(slots=True)
class _Found:
    """A referrer; `tag` and `kind` as in Reference."""

    described: Described
    kind: Attached
    tag: str = ""


@dataclass(slots=True)
class _Look:
    """The referrers of one manifest that were found, by the digest of what each refers to."""

    source: Reader
    repository: str
    limit: int
    cut: bool = False
    _taken: dict[Digest, list[_Found]] = field(default_factory=dict)
    _seen: set[Digest] = field(default_factory=set)

    def listed(self, subject: Digest) -> list[_Found]:
        """Return the first referrers of `subject` that the registry lists, one more than are wanted of all."""
        some = islice(self.source.referrers(self.repository, subject), self.limit + 1)
        return [_Found(each, attached_as(each.artifact_type, each.annotations)) for each in some]

    def tagged(self, subject: Digest) -> Iterator[_Found]:
        """Yield what tags say that refers to `subject`: those of cosign, and that of a list of referrers."""
        prefix = f"{subject.algorithm}-"
        listing = prefix + subject.hex[:_LONGEST_HEX]
        tags = [tag for tag in (listing, *(f"{prefix}{subject.hex}{suffix}" for suffix in _COSIGN)) if is_tag(tag)]
        targets = self.source.each(partial(self.source.target, self.repository), tags)
        for tag, digest in zip(tags, targets, strict=True):
            if digest:
                yield from self._in_list(digest) if tag == listing else self._by_cosign(tag, digest)

    def take(self, subject: Digest, found: Iterable[_Found]) -> list[Digest]:
        """Keep those of the referrers of `subject` that are new, as long as there is room; return their digests."""
        self._seen.add(subject)
        new: list[Digest] = []
        for each in found:
            digest = each.described.digest
            if digest in self._seen:
                continue
            if len(self._seen) > self.limit:
                self.cut = True
                break
            self._seen.add(digest)
            self._taken.setdefault(subject, []).append(each)
            new.append(digest)
        return new

    def below(self, subject: Digest) -> tuple[Reference, ...]:
        """Return what was kept of `subject`, with what is nested in it."""
        shown = Shown()
        return tuple(
            Reference(
                digest=each.described.digest,
                artifact_type=shown.text(each.described.artifact_type),
                media_type=shown.text(each.described.media_type),
                size=each.described.size,
                kind=each.kind,
                annotations=shown.table(dict(each.described.annotations)),
                tag=each.tag,
                nested=self.below(each.described.digest),
            )
            for each in self._taken.get(subject, ())
        )

    def _in_list(self, digest: Digest) -> Iterator[_Found]:
        """Yield the referrers that the index under a tag lists and that are here."""
        stored = self.source.manifest(self.repository, digest)
        entries = read_object(stored.content).get("manifests") if stored else None
        some = islice(entries if isinstance(entries, list) else (), self.limit + 1)
        listed = [each for each in map(described, some) if each]
        here = self.source.each(partial(self.source.has, self.repository), [each.digest for each in listed])
        for each, is_here in zip(listed, here, strict=True):
            if is_here:
                yield _Found(each, attached_as(each.artifact_type, each.annotations))

    def _by_cosign(self, tag: str, digest: Digest) -> Iterator[_Found]:
        """Yield what a tag of cosign leads to; what an attestation is about stands with its layers."""
        stored = self.source.manifest(self.repository, digest)
        if stored is None:
            return
        manifest = found_in(digest, stored).manifest
        annotations = dict(manifest.annotations) if manifest else {}
        layers = read_object(stored.content).get("layers")
        for layer in layers if isinstance(layers, list) else ():
            of_layer = layer.get("annotations") if isinstance(layer, dict) else None
            if isinstance(of_layer, dict):
                annotations |= {name: of_layer[name] for name in _PREDICATES if isinstance(of_layer.get(name), str)}
        artifact_type = manifest.artifact_type if manifest else ""
        entry = Described(digest, stored.media_type, artifact_type, len(stored.content), annotations)
        yield _Found(entry, attached_as("", annotations, _COSIGN["." + tag.rpartition(".")[2]]), tag)
