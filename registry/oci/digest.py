"""Digests: ``algorithm:hex`` (OCI image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHMS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Registered algorithms with the length of their hexadecimal form; sha384 is known for the Go registry's sake."""

DEFAULT_ALGORITHM: Final = "sha256"

_SHAPE = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_DIGEST = re.compile("|".join(rf"{name}:[0-9a-f]{{{length}}}" for name, length in ALGORITHMS.items()))


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The identity of some bytes."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a digest.

        Raises:
            DigestInvalidError: the text is not a digest, or its algorithm is not one of ALGORITHMS.
        """
        if _DIGEST.fullmatch(text):
            return cls(*text.split(":"))
        algorithm = text.partition(":")[0]
        if not _SHAPE.fullmatch(text):
            raise DigestInvalidError("invalid digest format", text[:256])
        if algorithm not in ALGORITHMS:
            raise DigestInvalidError(f"unsupported digest algorithm; known are {', '.join(ALGORITHMS)}", text[:256])
        raise DigestInvalidError(f"a {algorithm} digest has {ALGORITHMS[algorithm]} lower-case hex digits", text[:256])

    @classmethod
    def of(cls, content: bytes, algorithm: str = DEFAULT_ALGORITHM) -> Self:
        """Compute the digest of `content`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    @classmethod
    def of_pieces(cls, pieces: Iterable[bytes], algorithm: str = DEFAULT_ALGORITHM) -> Self:
        """Compute the digest of content that arrives in pieces."""
        hasher = hashlib.new(algorithm)
        for piece in pieces:
            hasher.update(piece)
        return cls(algorithm, hasher.hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def looks_like_digest(text: str) -> bool:
    """Tell whether `text` can only have been meant as a digest: tags have no colon."""
    return ":" in text
