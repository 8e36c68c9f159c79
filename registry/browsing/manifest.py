"""All that is shown of one manifest: what it is, what it names, and what its config says."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from registry.browsing.foreign import Shown, is_json, read_object
from registry.browsing.history import steps
from registry.browsing.images import LARGEST_CONFIG
from registry.browsing.platforms import spelled
from registry.browsing.shapes import Config, Details, Layer, Variant
from registry.inventory.walking import found_in
from registry.oci import media_types
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.browsing.images import Images
    from registry.browsing.shapes import Kind
    from registry.inventory.source import Reader
    from registry.inventory.walking import Found
    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor, Manifest

CHART_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_IMAGE_CONFIGS: Final = frozenset({media_types.OCI_CONFIG, media_types.DOCKER_CONFIG})
_TITLE: Final = "org.opencontainers.image.title"
REFERENCE_TYPE: Final = "vnd.docker.reference.type"
ATTESTATION: Final = "attestation-manifest"
"""How BuildKit marks, by an annotation in an index, what is no image but tells of one."""


def details(images: Images, repository: str, reference: Tag | Digest) -> Details | None:
    """Return what there is to be shown of a manifest; None if it is not there.

    Raises:
        InventoryError: it cannot be read.
    """
    source, tag = images.source, ""
    if isinstance(reference, Tag):
        tag, found = reference.name, source.target(repository, reference.name)
        if found is None:
            return None
        reference = found
    looks: list[Callable[[], Any]] = [partial(source.manifest, repository, reference)]
    looks += [partial(source.pushed, repository, tag)] if tag else []
    stored, *pushed = source.each(_call, looks)
    if stored is None:
        return None
    return _Look(images, repository, found_in(reference, stored)).details(tag, *pushed)


def kind_of(manifest: Manifest | None) -> Kind:
    """Return what a manifest is."""
    if manifest is None:
        return "unreadable"
    if manifest.media_type in media_types.INDEXES:
        return "index"
    config = manifest.config.media_type if manifest.config else ""
    if config == CHART_CONFIG:
        return "chart"
    states_type = manifest.artifact_type not in {"", config}
    has_files = all("tar" in blob.media_type for blob in manifest.blobs)
    return "image" if config in _IMAGE_CONFIGS and has_files and not states_type else "artifact"


class _Look:
    """One look at a manifest that was found."""

    def __init__(self, images: Images, repository: str, found: Found) -> None:
        self._images = images
        self._source: Reader = images.source
        self._repository = repository
        self._found = found
        self._document = read_object(found.stored.content)
        self._shown = Shown()

    def details(self, tag: str, pushed: float | None = None) -> Details:
        """Return all of it, as it was found under `tag`."""
        found, shown = self._found, self._shown
        manifest, stored = found.manifest, found.stored
        kind = kind_of(manifest)
        config = self._config_of(manifest)
        values = read_object(config) if kind == "image" else {}
        layers = self._layers(manifest)
        container = values.get("config")
        return Details(
            repository=self._repository,
            digest=found.digest,
            kind=kind,
            media_type=stored.media_type,
            size=len(stored.content),
            total=self._total(kind),
            artifact_type=shown.text(manifest.artifact_type) if manifest else "",
            tag=tag,
            pushed=pushed,
            subject=manifest.subject.digest if manifest and manifest.subject else None,
            variants=self._variants(manifest),
            steps=steps(values.get("history"), layers, shown) if kind == "image" else (),
            layers=layers,
            config=config_of(values, shown) if kind == "image" else None,
            config_digest=manifest.config.digest if manifest and manifest.config else None,
            labels=shown.table(container.get("Labels") if isinstance(container, dict) else None),
            annotations=shown.table(dict(manifest.annotations) if manifest else None),
            raw=shown.document(stored.content),
            raw_config=shown.document(config) if config and is_json(config) else "",
            cut=shown.cut,
        )

    def _config_of(self, manifest: Manifest | None) -> bytes:
        if manifest is None or manifest.config is None:
            return b""
        return self._source.small_blob(self._repository, manifest.config.digest, LARGEST_CONFIG) or b""

    def _total(self, kind: Kind) -> int | None:
        """Return the bytes of the manifest and of all that it leads to, each counted once."""
        if kind == "index":
            image = self._images.look_at(self._repository, self._found.digest)
            return image.size if image else None
        manifest = self._found.manifest
        if manifest is None:
            return None
        named = {each.digest: max(each.size, 0) for kind, each in manifest.references() if kind != "foreign"}
        return len(manifest.content) + sum(named.values())

    def _layers(self, manifest: Manifest | None) -> tuple[Layer, ...]:
        if manifest is None:
            return ()
        annotations = self._annotations("layers", "blobs")
        return tuple(
            Layer(
                each.digest,
                self._shown.text(each.media_type),
                max(each.size, 0),
                self._shown.text(annotations.get(str(each.digest), {}).get(_TITLE)),
            )
            for each in self._shown.first(manifest.blobs)
        )

    def _variants(self, manifest: Manifest | None) -> tuple[Variant, ...]:
        if manifest is None:
            return ()
        annotations = self._annotations("manifests")
        entries: list[Descriptor] = list(self._shown.first(manifest.manifests))
        there = self._source.each(self._is_here, entries)
        return tuple(
            Variant(
                digest=each.digest,
                media_type=self._shown.text(each.media_type),
                size=max(each.size, 0),
                platform=spelled(each.platform),
                is_attestation=annotations.get(str(each.digest), {}).get(REFERENCE_TYPE) == ATTESTATION,
                is_here=is_here,
            )
            for each, is_here in zip(entries, there, strict=True)
        )

    def _is_here(self, entry: Descriptor) -> bool:
        """Tell whether an entry of an index is here; of one that may be a blob nothing is asked."""
        return entry.media_type not in media_types.MANIFESTS or self._source.has(self._repository, entry.digest)

    def _annotations(self, *names: str) -> Mapping[str, Mapping[str, object]]:
        """Return the annotations that the descriptors in the lists called `names` have, by the text of their digest."""
        lists = (self._document.get(name) for name in names)
        entries = chain.from_iterable(each for each in lists if isinstance(each, list))
        found = {}
        for entry in entries:
            if isinstance(entry, dict) and isinstance(entry.get("annotations"), dict):
                found[str(entry.get("digest"))] = entry["annotations"]
        return found


def config_of(values: Mapping[str, Any], shown: Shown) -> Config:
    """Return what the config of an image says of how a container of it runs."""
    container = values.get("config")
    settings: Mapping[str, Any] = container if isinstance(container, dict) else {}
    architecture, variant = shown.text(values.get("architecture")), shown.text(values.get("variant"))
    return Config(
        os=shown.text(values.get("os")),
        architecture=f"{architecture}/{variant}" if variant else architecture,
        created=shown.text(values.get("created")),
        author=shown.text(values.get("author")),
        user=shown.text(settings.get("User")),
        working_directory=shown.text(settings.get("WorkingDir")),
        entrypoint=shown.texts(settings.get("Entrypoint")),
        command=shown.texts(settings.get("Cmd")),
        environment=shown.texts(settings.get("Env")),
        ports=shown.keys(settings.get("ExposedPorts")),
        volumes=shown.keys(settings.get("Volumes")),
        stop_signal=shown.text(settings.get("StopSignal")),
    )


def _call(look: Callable[[], Any]) -> Any:
    return look()
