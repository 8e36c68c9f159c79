"""Repository names and references (OCI distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.oci.digest import Digest, looks_like_digest
from registry.oci.errors import NameInvalidError, TagInvalidError

MAX_NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# The Go registry takes a first component of several for a host name and lets it have capitals, so trees
# written by it may hold such repositories. A port it accepts in the URL but cannot store.
_HOST_LIKE = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_NAME = re.compile(rf"(?:{_HOST_LIKE}(?:\.{_HOST_LIKE})*/)?{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, known to be well-formed."""

    name: str

    def __str__(self) -> str:
        return self.name


def parse_name(text: str) -> str:
    """Return `text` if it names a repository.

    Raises:
        NameInvalidError: it breaks the grammar or is longer than MAX_NAME_LENGTH.
    """
    if len(text) > MAX_NAME_LENGTH:
        raise NameInvalidError(f"a repository name has at most {MAX_NAME_LENGTH} characters", {"length": len(text)})
    if not _NAME.fullmatch(text):
        raise NameInvalidError("invalid repository name", {"name": text})
    return text


def parse_tag(text: str) -> Tag:
    """Read a tag.

    Raises:
        TagInvalidError: it breaks the grammar.
    """
    if not _TAG.fullmatch(text):
        raise TagInvalidError("invalid tag", {"tag": text[:256]})
    return Tag(text)


def parse_reference(text: str) -> Tag | Digest:
    """Read what stands after ``/manifests/``: whatever has a colon is meant as a digest.

    Raises:
        TagInvalidError: it is neither a digest nor a tag.
        DigestInvalidError: it is meant as a digest and is not one.
    """
    return Digest.parse(text) if looks_like_digest(text) else parse_tag(text)
