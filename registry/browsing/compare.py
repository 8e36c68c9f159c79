"""What is different between two manifests: layers, the config, history, packages."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from registry.browsing.attached import bill_of
from registry.browsing.manifest import details
from registry.browsing.shapes import Config
from registry.oci.errors import ManifestUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.browsing.images import Images
    from registry.browsing.sbom import Bill
    from registry.browsing.shapes import Details, Layer
    from registry.inventory.source import Reader
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag

_NONE: Final[tuple[str, frozenset[str]]] = ("", frozenset())


@dataclass(frozen=True, slots=True)
class Change:
    """A value that one has and the other has not, or has otherwise; None is "not there"."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the history: of both, of the first only, or of the second only."""

    side: Literal["both", "before", "after"]
    text: str


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of two images. `base` are the first ones, as far as they are the same and in the same order.

    `kept` are those of both that come after: they are not pulled again either.
    """

    base: tuple[Layer, ...]
    kept: tuple[Layer, ...]
    removed: tuple[Layer, ...]
    added: tuple[Layer, ...]

    @property
    def to_pull(self) -> int:
        """Bytes of layers that somebody pulls for the second who has the first."""
        return sum(layer.size for layer in self.added)


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages that differ, by name, several versions with commas between them, and how many are the same.

    `cut` is whether a bill has more than was read.
    """

    changes: tuple[Change, ...]
    same: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two manifests, and how the second differs from the first.

    If both are indexes, `before` and `after` are their images for `platform`, one of the `platforms` that both have;
    `only_before` and `only_after` are platforms that one has. `packages` is None unless both have a bill of materials.
    """

    before: Details
    after: Details
    layers: Layers
    config: tuple[Change, ...]
    environment: tuple[Change, ...]
    labels: tuple[Change, ...]
    annotations: tuple[Change, ...]
    history: tuple[Line, ...]
    platform: str = ""
    platforms: tuple[str, ...] = ()
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    packages: Packages | None = None

    @property
    def is_same(self) -> bool:
        """Whether both are one manifest."""
        return self.before.digest == self.after.digest

    @property
    def growth(self) -> int | None:
        """By how many bytes the second is larger; None if that is not known."""
        if self.before.total is None or self.after.total is None:
            return None
        return self.after.total - self.before.total


class Place(NamedTuple):
    """Where a manifest is."""

    repository: str
    reference: Tag | Digest


def compared(images: Images, before: Place, after: Place, platform: str = "") -> Comparison:
    """Return how two manifests differ. Of two indexes those images are compared that are for `platform`.

    Raises:
        ManifestUnknownError: one of them is not there.
        InventoryError: they cannot be read.
    """
    source = images.source
    indexes = [*source.each(partial(_found, images), (before, after))]
    old, new = (platforms(index) for index in indexes)
    both = tuple(each for each in old if each in new)
    wanted = platform if platform in both else next(filter(None, (*both[:1], *map(_stated, indexes))), "")
    images_of = [*source.each(partial(_for_platform, images, wanted), indexes)]
    found = compare(*images_of)
    if found.is_same:
        return found
    bills = [*source.each(partial(_bill, source), zip(images_of, indexes, strict=True))]
    return replace(
        found,
        platform=wanted,
        platforms=both,
        only_before=tuple(each for each in old if each not in new),
        only_after=tuple(each for each in new if each not in old),
        packages=compare_packages(bills[0], bills[1]) if bills[0] and bills[1] else None,
    )


def _found(images: Images, place: Place) -> Details:
    found = details(images, place.repository, place.reference)
    if found is None:
        raise ManifestUnknownError("manifest unknown", str(place.reference))
    return found


def _stated(image: Details) -> str:
    """Return the platform of an image, as its config states it."""
    config = image.config or Config()
    return f"{config.os}/{config.architecture}" if config.os and config.architecture else ""


def _for_platform(images: Images, platform: str, index: Details) -> Details:
    """Return the image of an index for `platform`; the first one that is here if it has none for that."""
    variants = [each for each in index.variants if each.is_here and not each.is_attestation]
    chosen = next((each for each in variants if each.platform == platform), next(iter(variants), None))
    return _found(images, Place(index.repository, chosen.digest)) if chosen else index


def _bill(source: Reader, pair: tuple[Details, Details]) -> Bill | None:
    """Return the bill of materials of an image, which may be attached to it or, in a pair with it, be in its index."""
    image, index = pair
    return bill_of(source, image.repository, image.digest, None if image is index else index.digest)


def compare(before: Details, after: Details) -> Comparison:
    """Return how `after` differs from `before`, neither of which is an index."""
    return Comparison(
        before,
        after,
        layers=compare_layers(before.layers, after.layers),
        config=_compare_configs(before.config or Config(), after.config or Config()),
        environment=_compare_tables(_variables(before.config), _variables(after.config)),
        labels=_compare_tables(before.labels or {}, after.labels or {}),
        annotations=_compare_tables(before.annotations or {}, after.annotations or {}),
        history=_compare_lines(
            [step.instruction for step in before.steps if step.instruction],
            [step.instruction for step in after.steps if step.instruction],
        ),
    )


def compare_layers(before: Sequence[Layer], after: Sequence[Layer]) -> Layers:
    """Return which layers two images have in common, by their digests."""
    base = [first for first, _ in takewhile(_is_same_layer, zip(before, after, strict=False))]
    old, new = {layer.digest for layer in before}, {layer.digest for layer in after}
    rest = after[len(base) :]
    return Layers(
        tuple(base),
        kept=tuple(layer for layer in rest if layer.digest in old),
        removed=tuple(layer for layer in before if layer.digest not in new),
        added=tuple(layer for layer in rest if layer.digest not in old),
    )


def compare_packages(before: Bill, after: Bill) -> Packages:
    """Return which packages came, went, or have another version; one is known by its purl without a version."""
    old, new = _versions(before), _versions(after)
    names = {identity: name for identity, (name, _) in [*old.items(), *new.items()]}
    changed = [identity for identity in names if old.get(identity, _NONE)[1] != new.get(identity, _NONE)[1]]
    changes = [
        Change(names[identity], _joined(old.get(identity)), _joined(new.get(identity)))
        for identity in sorted(changed, key=lambda identity: (names[identity], identity))
    ]
    return Packages(tuple(changes), len(names) - len(changed), before.cut or after.cut)


def platforms(index: Details) -> tuple[str, ...]:
    """Return the platforms for which an index has an image here, in its order."""
    return tuple(
        dict.fromkeys(
            each.platform for each in index.variants if each.platform and each.is_here and not each.is_attestation
        )
    )


def _is_same_layer(pair: tuple[Layer, Layer]) -> bool:
    return pair[0].digest == pair[1].digest


def _compare_configs(before: Config, after: Config) -> tuple[Change, ...]:
    """Return which settings differ; variables of the environment are told apart by name elsewhere."""
    names = [field.name for field in fields(Config) if field.name != "environment"]
    return _compare_tables(_settings(before, names), _settings(after, names))


def _settings(config: Config, names: Iterable[str]) -> dict[str, str]:
    """Return the settings that are given, as text; those of several values have one a line."""
    values = {name.replace("_", " "): getattr(config, name) for name in names}
    return {name: value if isinstance(value, str) else "\n".join(value) for name, value in values.items() if value}


def _variables(config: Config | None) -> dict[str, str]:
    return {name: value for name, _, value in (each.partition("=") for each in (config.environment if config else ()))}


def _compare_tables(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    )


def _compare_lines(before: Sequence[str], after: Sequence[str]) -> tuple[Line, ...]:
    """Return the lines of both: what is the same at the beginning and at the end, and between that first the old ones.

    A shortest difference takes time that grows with the square of what is different.
    """
    head = _same_at_start(before, after)
    tail = _same_at_start(before[head:][::-1], after[head:][::-1])
    end = len(before) - tail
    return (
        *(Line("both", text) for text in before[:head]),
        *(Line("before", text) for text in before[head:end]),
        *(Line("after", text) for text in after[head : len(after) - tail]),
        *(Line("both", text) for text in before[end:]),
    )


def _same_at_start(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _versions(bill: Bill) -> dict[str, tuple[str, frozenset[str]]]:
    """Return the name of each package and its versions, by what tells it from others."""
    found: dict[str, tuple[str, set[str]]] = {}
    for package in bill.packages:
        found.setdefault(package.identity, (package.name, set()))[1].add(package.version)
    return {identity: (name, frozenset(versions)) for identity, (name, versions) in found.items()}


def _joined(package: tuple[str, frozenset[str]] | None) -> str | None:
    return ", ".join(sorted(filter(None, package[1]))) if package else None
