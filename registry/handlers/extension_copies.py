"""Copies of manifests within the registry, for clients that would else pull and push: ``_registry/tags/copy``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint
from werkzeug.exceptions import PreconditionFailed

from registry.handlers.context import hand_over, open_repository, open_source, publishing, require_writable
from registry.handlers.json_body import json_object
from registry.handlers.response import Response
from registry.handlers.urls import manifest_url
from registry.oci import encoding, media_types
from registry.oci.errors import ParameterInvalidError
from registry.oci.reference import Tag, parse_name, parse_reference, parse_tag
from registry.publishing import Copy, copy_manifest, copy_with_referrers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.oci.digest import Digest

blueprint = Blueprint("extension_copies", __name__)

_MEMBERS: Final = {"from": str, "tag": str, "overwrite": bool, "referrers": bool}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be copied: the manifest that `reference` leads to in `source`, under `tag`."""

    source: str
    reference: Tag | Digest
    tag: Tag
    overwrite: bool
    referrers: bool


@dataclass(frozen=True, slots=True)
class _Vacant:
    """The tag must not be there yet, unless it points to `digest` already."""

    digest: Digest

    def require(self, current: Digest | None) -> None:
        """Return if a tag that points to `current` may be set.

        Raises:
            PreconditionFailed: it may not (412).
        """
        if current not in {None, self.digest}:
            raise PreconditionFailed


@blueprint.post("/v2/<path:name>/_registry/tags/copy")
def copy_tag(name: str) -> Response:
    """Let a tag of this repository point to a manifest of this or another one, with all that it leads to."""
    target = open_repository(name, "pull", "push")
    require_writable()
    asked = _asked(json_object())
    source = open_source(asked.source, target)
    hand_over()
    digest = source.tags.resolve(asked.reference) if isinstance(asked.reference, Tag) else asked.reference
    make = copy_with_referrers if asked.referrers else copy_manifest
    condition = None if asked.overwrite else _Vacant(digest)
    copied = make(publishing(), Copy(source, target, digest, asked.tag, condition))
    told = {
        "name": target.name,
        "tag": asked.tag.name,
        "digest": str(digest),
        "manifests": copied.manifests,
        "blobs": copied.blobs,
    }
    headers = {"Location": manifest_url(name, digest), "Docker-Content-Digest": str(digest)}
    return Response(encoding.answer(told), 201, headers, content_type=media_types.JSON)


def _asked(document: Mapping[str, Any]) -> _Asked:
    """Return what the body of the request asks for.

    Raises:
        ParameterInvalidError: it has not the members that it has to have.
        NameInvalidError, TagInvalidError, DigestInvalidError: what it names breaks the grammar.
    """
    for name, value in document.items():
        if name not in _MEMBERS or not isinstance(value, _MEMBERS[name]):
            raise ParameterInvalidError("the members are from and tag, texts; overwrite and referrers, true or false")
    if not {"from", "tag"} <= document.keys():
        raise ParameterInvalidError("from and tag have to be given")
    source, reference = _split(document["from"])
    return _Asked(
        parse_name(source),
        parse_reference(reference),
        parse_tag(document["tag"]),
        document.get("overwrite", False),
        document.get("referrers", False),
    )


def _split(text: str) -> tuple[str, str]:
    """Return the name and the tag or digest of ``name:tag`` or ``name@digest``."""
    name, at, digest = text.partition("@")
    if at:
        return name, digest
    name, _, tag = text.rpartition(":")
    return name, tag
