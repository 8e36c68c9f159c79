"""The key that the built-in token service signs with: one file for every process and host of a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auth.base import ControllerError
from auth.tokens.trusted import TrustedKey, TrustedKeys, thumbprint, trusted_key
from registry.foundation.files import FileError, WatchedFile, check_creatable_file, create_file

if TYPE_CHECKING:
    from collections.abc import Sequence

ALGORITHM = "ES256"

_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-(?!----)[^-]*)*-----END [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the id under which its tokens name it."""

    key: ec.EllipticCurvePrivateKey
    key_id: str


@dataclass(frozen=True, slots=True)
class _Keys:
    signing: Sequence[SigningKey]
    trusted: TrustedKeys


class SigningKeys:
    """The private keys in a PEM file, oldest first: the last one signs, all of them verify.

    So a key is replaced by appending a new one, and taking out the old one once its tokens have expired. The
    file may change while the registry runs; while it is broken, what it last held stays in use.
    """

    def __init__(self, path: str) -> None:
        self._file = WatchedFile(path, _parse)

    @classmethod
    def open(cls, path: str) -> SigningKeys:
        """Return the keys at `path`; where there is no file, one is created with a new key.

        Raises:
            OSError: it cannot be created.
            FileError: it cannot be read.
        """
        if not Path(path).exists():
            new = ec.generate_private_key(ec.SECP256R1())
            create_file(path, new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        keys = cls(path)
        keys._file.require()
        return keys

    @classmethod
    def examined(cls, path: str) -> SigningKeys:
        """Return the keys at `path`; where there is no file, none is created, and the keys are not to be used.

        Raises:
            OSError: it could not be created.
            FileError: it cannot be read.
        """
        if Path(path).exists():
            return cls.open(path)
        check_creatable_file(path)
        return cls(path)

    def newest(self) -> SigningKey:
        """Return the key to sign with."""
        return self._keys().signing[-1]

    def find(self, key_id: str) -> list[TrustedKey]:
        """Return the keys called `key_id`."""
        return self._keys().trusted.find(key_id)

    def ids(self) -> list[str]:
        """Return every id, for a log."""
        return self._keys().trusted.ids()

    def _keys(self) -> _Keys:
        try:
            return self._file.last_good()
        except FileError as error:
            raise ControllerError(str(error)) from error


def _parse(content: bytes) -> _Keys:
    keys = []
    for block in _BLOCK.findall(content):
        try:
            key = load_pem_private_key(block, password=None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"it holds a key that cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("it holds a key that is not an EC key on P-256")  # noqa: TRY004 - the file is wrong
        keys.append(SigningKey(key, thumbprint(key.public_key())))
    if not keys:
        raise ValueError("it holds no PEM private key")
    return _Keys(keys, TrustedKeys(trusted_key(each.key.public_key()) for each in keys))
