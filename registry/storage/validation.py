"""What a manifest may name: content that its repository has, URLs and classes that the configuration allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from registry.oci import media_types
from registry.oci.errors import (
    DeniedError,
    ManifestBlobUnknownError,
    ManifestDependenciesError,
    ManifestInvalidError,
    RegistryError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.foundation.patterns import Pattern
    from registry.oci.manifest import Descriptor, Kind, Manifest
    from registry.ports import Holder

_MAX_ERRORS = 100
"""How many errors of one manifest a client is told; to find another costs a call to storage."""

_MAX_URLS = 1000
"""URLs that the layers of one manifest may have; of each layer that clients fetch elsewhere there are one or two."""

_MAX_URL_LENGTH = 8192
"""Characters of a URL, which is more than what servers take."""

_UNFIT_FOR_URLS = re.compile(r"\A |[\x00-\x1f\x7f]")
"""What Go's parser refuses in a URL, and Python's leaves out, so that a pattern would judge another URL than clients
fetch."""

_CLASSES = {
    media_types.DOCKER_CONFIG: "image",
    media_types.OCI_CONFIG: "image",
    media_types.DOCKER_PLUGIN: "plugin",
}


@dataclass(frozen=True, slots=True)
class ValidationPolicy:
    """The ``validation`` and ``policy`` sections.

    `enabled` off lifts the rules for URLs and for the manifests of an index, never the one for layers; that
    takes `sparse`, which lets a manifest name blobs and manifests that are not stored.
    `reference_limit` is how many descriptors and URLs a manifest may have, each of which can cost a call to storage; 0
    means any number.
    `platforms` says which manifests of an index must exist: all, none, or those in `platform_list`, as
    (architecture, os). `classes` empty allows every class.
    """

    enabled: bool = True
    sparse: bool = False
    allowed_urls: tuple[Pattern, ...] = ()
    denied_urls: tuple[Pattern, ...] = ()
    reference_limit: int = 0
    platforms: Literal["all", "none", "list"] = "all"
    platform_list: frozenset[tuple[str, str]] = frozenset()
    classes: frozenset[str] = frozenset()

    def check(self, manifest: Manifest, blobs: Holder, manifests: Holder) -> None:
        """Return if the manifest may be stored beside `blobs` and `manifests`.

        Raises:
            ManifestInvalidError: it names more than `reference_limit` allows.
            ManifestDependenciesError: with one error for each thing that is missing or not allowed.
            DeniedError: the repository may not hold manifests of this class.
        """
        self.check_alone(manifest)
        found = chain(
            self._refused_urls(manifest),
            self._missing_blobs(manifest, blobs),
            self._missing_manifests(manifest, blobs, manifests),
        )
        errors = list(islice(found, _MAX_ERRORS))
        if errors:
            raise ManifestDependenciesError(errors)

    def check_alone(self, manifest: Manifest) -> None:
        """Return if the manifest is allowed as far as that is told without the storage; its URLs are not judged.

        Raises:
            ManifestInvalidError, DeniedError: as check() does.
        """
        self._check_class(manifest)
        self._check_count(manifest)

    def required(self, manifest: Manifest) -> Iterator[tuple[Kind, Descriptor]]:
        """Yield what has to be stored beside the manifest: its config, its layers, the manifests of an index."""
        if self.sparse:
            return
        for kind, each in manifest.references():
            if kind in {"config", "blob"} or (kind in {"manifest", "entry"} and self._manifest_required(each)):
                yield kind, each

    def _check_class(self, manifest: Manifest) -> None:
        if not self.classes or manifest.config is None:
            return
        kind = _CLASSES.get(manifest.config.media_type)
        if kind not in self.classes:
            raise DeniedError(f"manifests of class {kind or manifest.config.media_type} are not allowed here")

    def _check_count(self, manifest: Manifest) -> None:
        # A URL takes three bytes at least, and a descriptor more: most manifests need not be counted.
        if not self.reference_limit or len(manifest.content) < 3 * self.reference_limit:
            return
        count = manifest.count()
        if count > self.reference_limit:
            raise ManifestInvalidError(
                f"the manifest has {count} descriptors and URLs, {self.reference_limit} are allowed here;"
                " see validation.manifests.referencelimit in the configuration",
            )

    def _missing_blobs(self, manifest: Manifest, blobs: Holder) -> Iterator[RegistryError]:
        # Each is looked for once: an artifact often has one blob for its config and its layer, and a manifest of 4 MiB
        # can name one thing 30,000 times.
        needed = dict.fromkeys(each.digest for kind, each in self.required(manifest) if kind in {"config", "blob"})
        for digest, stored in zip(needed, blobs.has_each(needed), strict=True):
            if not stored:
                yield ManifestBlobUnknownError(digest)

    def _missing_manifests(
        self,
        manifest: Manifest,
        blobs: Holder,
        manifests: Holder,
    ) -> Iterator[RegistryError]:
        needed = dict.fromkeys(
            (kind, child.digest) for kind, child in self.required(manifest) if kind in {"manifest", "entry"}
        )
        listed = manifests.has_each(digest for _, digest in needed)
        for (kind, digest), is_listed in zip(needed, listed, strict=True):
            if not is_listed and not (kind == "entry" and blobs.has(digest)):
                yield ManifestBlobUnknownError(digest)

    def _manifest_required(self, child: Descriptor) -> bool:
        if not self.enabled or self.platforms == "none":
            return False
        if self.platforms == "all" or not self.platform_list:
            return True
        # Compared one by one: what the manifest states may be of any type, also of one that has no hash.
        stated = (child.platform.get("architecture"), child.platform.get("os"))
        return any(stated == listed for listed in self.platform_list)

    def _refused_urls(self, manifest: Manifest) -> Iterator[RegistryError]:
        layers = (manifest.config, *manifest.blobs) if manifest.config else manifest.blobs
        stated = ((layer, url) for layer in layers if _is_layer(layer) for url in layer.urls)
        for layer, url in islice(stated, _MAX_URLS):
            if not self._url_allowed(url):
                yield ManifestInvalidError(
                    "invalid URL on layer; see validation.manifests.urls in the configuration",
                    {"digest": str(layer.digest), "url": url[:512]},
                )
        if next(stated, None):
            yield ManifestInvalidError(f"the layers of a manifest may have {_MAX_URLS} URLs together")

    def _url_allowed(self, url: str) -> bool:
        if len(url) > _MAX_URL_LENGTH or _UNFIT_FOR_URLS.search(url):
            return False
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.fragment:
            return False
        if not self.enabled:
            return True
        if not self.allowed_urls and not self.denied_urls:
            return False
        allowed = not self.allowed_urls or any(pattern.found_in(url) for pattern in self.allowed_urls)
        return allowed and not any(pattern.found_in(url) for pattern in self.denied_urls)


def _is_layer(descriptor: Descriptor) -> bool:
    # Some clients compare media types in any case.
    media_type = descriptor.media_type.lower()
    return media_type.startswith("application/vnd.oci.image.layer.") or media_type in media_types.NON_DISTRIBUTABLE
