"""Repository names and references (OCI distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from registry.oci.digest import Digest, looks_like_digest
from registry.oci.errors import NameInvalidError, TagInvalidError

MAX_NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# The Go registry takes a first component of several for a host name and lets it have capitals, so trees
# written by it may hold such repositories. A port it accepts in the URL but cannot store.
_HOST_LIKE = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"{_HOST_LIKE}(?:\.{_HOST_LIKE})*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*|{_HOST}(?:/{_COMPONENT})+")

# These are not functions of our own, which would take twice as long for each of many.
is_tag: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}").fullmatch
"""Tells whether a text is a tag."""
is_component: Final = re.compile(_COMPONENT).fullmatch
"""Tells whether a text may be a component of the name of a repository, in any place."""
may_be_first: Final = re.compile(rf"(?!.{{{MAX_NAME_LENGTH + 1}}})(?:{_COMPONENT}|{_HOST})").fullmatch
"""Tells whether a text may be the first component of such a name."""

is_platform: Final = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9.]+)?").fullmatch
"""Tells whether a text is the platform of an image as people write it, such as linux/amd64 or linux/arm/v7."""


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


def is_name(text: str) -> bool:
    """Tell whether parse_name() takes `text` for the name of a repository."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def is_below(name: str, prefix: str) -> bool:
    """Tell whether a repository is the one called `prefix`, or nested in its name, or `prefix` is ""."""
    return not prefix or name == prefix or name.startswith(f"{prefix}/")


def parse_tag(text: str) -> Tag:
    """Read a tag.

    Raises:
        TagInvalidError: it breaks the grammar.
    """
    if not is_tag(text):
        raise TagInvalidError("invalid tag", {"tag": text[:256]})
    return Tag(text)


def parse_reference(text: str) -> Tag | Digest:
    """Read what stands after ``/manifests/``: whatever has a colon is meant as a digest.

    Raises:
        TagInvalidError: it is neither a digest nor a tag.
        DigestInvalidError: it is meant as a digest and is not one.
    """
    return Digest.parse(text) if looks_like_digest(text) else parse_tag(text)
