"""SHA-2 whose state can be carried from one request to the next.

hashlib computes but cannot export what it has computed so far; libcrypto, which it calls, can: its
``SHA256_CTX`` and ``SHA512_CTX`` are flat structures. They are reached through ctypes, which also releases
the interpreter's lock while hashing. The exported state is the layout that Go's crypto packages use (magic,
chain, pending block, length; all big-endian), so it means the same on every host.

Where libcrypto is not a shared library (some Python builds link it statically) no state is
exported: the bytes of earlier requests are read back when their digest is needed. The log says so at the start.
"""

from __future__ import annotations

import _hashlib
import ctypes
import hashlib
import logging
import struct
from typing import TYPE_CHECKING, Final, Protocol

from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

_RESUMABLE: Final = {"sha256": ("I", b"sha\x03"), "sha512": ("Q", b"sha\x07")}
"""The words of a context, as the struct module spells them, and what Go begins its state with."""
_log = logging.getLogger(__name__)


class StateError(Exception):
    """An exported state cannot be continued here."""


class Hasher(Protocol):
    """A running digest over everything passed to update()."""

    def update(self, piece: bytes) -> None:
        """Add `piece`."""

    def digest(self) -> Digest:
        """Return the digest of all that was added; more may be added after."""

    def state(self) -> bytes | None:
        """Return what resume() continues from, or None where that is not possible."""


def new_hasher(algorithm: str) -> Hasher:
    """Begin a digest; `algorithm` is one of registry.oci.digest.ALGORITHMS."""
    layout = _LAYOUTS.get(algorithm)
    return _ResumableHasher(layout) if layout else _PlainHasher(algorithm)


def resume_hasher(algorithm: str, state: bytes) -> Hasher:
    """Continue a digest from the state that another hasher exported.

    Raises:
        StateError: it is not a state of this algorithm, or cannot be continued on this build of Python.
    """
    layout = _LAYOUTS.get(algorithm)
    if not layout:
        raise StateError(f"no resumable {algorithm} here")
    return _ResumableHasher(layout, state)


def log_what_cannot_be_resumed() -> None:
    """Log a line, once for each algorithm, if uploads in several requests will have to be read back."""
    for algorithm in _RESUMABLE:
        if algorithm not in _LAYOUTS:
            _log.warning(
                "the state of %s cannot be carried from one request to the next on this build of Python: "
                "uploads in several requests are read back to be verified",
                algorithm,
            )


class _PlainHasher:
    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def update(self, piece: bytes) -> None:
        self._hash.update(piece)

    def digest(self) -> Digest:
        return Digest(self._algorithm, self._hash.hexdigest())

    def state(self) -> bytes | None:
        return None


class _Layout:
    """One libcrypto context type: eight chain words, a bit count of two words, a block, two counters."""

    def __init__(self, algorithm: str, word: str, magic: bytes, library: ctypes.CDLL) -> None:
        prefix = algorithm.upper()
        self.algorithm = algorithm
        self.magic = magic
        self.digest_size = hashlib.new(algorithm).digest_size
        self.word_size = struct.calcsize(f"={word}")
        self.block_size = 16 * self.word_size
        self.native = struct.Struct(f"=8{word}2{word}{self.block_size}s2I")
        self.wire = struct.Struct(f">{len(magic)}s8{word}{self.block_size}sQ")
        self.init = _function(library, f"{prefix}_Init", ctypes.c_void_p)
        self.update = _function(library, f"{prefix}_Update", ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
        self.final = _function(library, f"{prefix}_Final", ctypes.c_char_p, ctypes.c_void_p)

    def export(self, context: ctypes.Array[ctypes.c_char]) -> bytes:
        *chain, low, high, block, pending, _ = self.native.unpack(context.raw)
        bits = high << (8 * self.word_size) | low
        return self.wire.pack(self.magic, *chain, block[:pending].ljust(self.block_size, b"\0"), bits // 8)

    def restore(self, state: bytes) -> bytes:
        if len(state) != self.wire.size:
            raise StateError(f"not a {self.algorithm} state: {len(state)} bytes")
        magic, *chain, block, length = self.wire.unpack(state)
        if magic != self.magic:
            raise StateError(f"not a {self.algorithm} state: wrong magic")
        bits, pending, mask = length * 8, length % self.block_size, (1 << 8 * self.word_size) - 1
        return self.native.pack(*chain, bits & mask, bits >> (8 * self.word_size), block, pending, self.digest_size)


class _ResumableHasher:
    def __init__(self, layout: _Layout, state: bytes | None = None) -> None:
        self._layout = layout
        self._context = ctypes.create_string_buffer(layout.native.size)
        if state is None:
            layout.init(self._context)
        else:
            self._context.raw = layout.restore(state)

    def update(self, piece: bytes) -> None:
        self._layout.update(self._context, piece, len(piece))

    def digest(self) -> Digest:
        copy = ctypes.create_string_buffer(self._context.raw, self._layout.native.size)
        result = ctypes.create_string_buffer(self._layout.digest_size)
        self._layout.final(result, copy)
        return Digest(self._layout.algorithm, result.raw.hex())

    def state(self) -> bytes | None:
        return self._layout.export(self._context)

    @classmethod
    def proven(cls, layout: _Layout) -> bool:
        """Tell whether this libcrypto's structure is what we take it for, by carrying a state over."""
        sample = bytes(range(251))
        first = cls(layout)
        first.update(sample)
        second = cls(layout, first.state())
        second.update(sample)
        return second.digest().hex == hashlib.new(layout.algorithm, sample + sample).hexdigest()


def _function(library: ctypes.CDLL, name: str, *arguments: type) -> Callable[..., int]:
    function = getattr(library, name)
    function.argtypes, function.restype = arguments, ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes knows no more


def _load_layouts() -> dict[str, _Layout]:
    # The libraries that it depends on are searched too, and so the functions come from the libcrypto of hashlib itself.
    library = ctypes.CDLL(getattr(_hashlib, "__file__", None))
    try:
        layouts = [_Layout(algorithm, word, magic, library) for algorithm, (word, magic) in _RESUMABLE.items()]
    except AttributeError:
        return {}
    return {layout.algorithm: layout for layout in layouts if _ResumableHasher.proven(layout)}


_LAYOUTS: Final = _load_layouts()
