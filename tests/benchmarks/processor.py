"""The processor of this machine, on which every figure depends, and how programs are kept from its SHA instructions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

WITHOUT_SHA: Final = {"OPENSSL_ia32cap": ":~0x20000000", "GODEBUG": "cpu.sha=off"}
"""The environment in which OpenSSL, so Python's hashlib, and programs in Go do not use SHA instructions.

The first is bit 29 of EBX in leaf 7 of CPUID, cleared (OPENSSL_ia32cap(3)), the second an option of Go's internal/cpu.
Both are for x86-64 and are ignored elsewhere.
"""

_X86, _ARM = "sha_ni", "sha2"


@dataclass(frozen=True, slots=True)
class Processor:
    """What Linux says of it. `has_sha` tells whether it has instructions for SHA-256; `name` is "" where it has none.

    Those of which `switchable` is true can be kept from programs by WITHOUT_SHA.
    """

    name: str
    family: str
    model: str
    has_sha: bool
    switchable: bool

    @classmethod
    def of_this_machine(cls) -> Self:
        """Return the one that runs this."""
        return cls.parse(Path("/proc/cpuinfo").read_text())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the first one in `text`, which is like /proc/cpuinfo."""
        first = text.strip().partition("\n\n")[0]
        fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.split("\n"))}
        flags = {*fields.get("flags", "").split(), *fields.get("Features", "").split()}
        family = fields.get("cpu family", fields.get("CPU architecture", ""))
        model = fields.get("model", fields.get("CPU part", ""))
        return cls(fields.get("model name", ""), family, model, bool(flags & {_X86, _ARM}), _X86 in flags)

    def described(self, *, switched_off: bool) -> str:
        """Return which one it is and whether programs find its SHA instructions, which may have been `switched_off`."""
        which = f"{self.name or 'of an unknown name'} (family {self.family or '?'}, model {self.model or '?'})"
        if switched_off:
            return f"{which}, its SHA instructions SWITCHED OFF"
        return f"{which}, {'with' if self.has_sha else 'without'} SHA instructions"
