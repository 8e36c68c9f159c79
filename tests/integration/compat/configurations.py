"""Configurations as this registry and the Go registry's own package read them, in one form that can be compared."""

from __future__ import annotations

import base64
import json
import math
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.config import ConfigurationError
from registry.config.loading import parse
from registry.config.schema import keys, plugin_attributes, shape_of
from registry.config.values import Configuration
from registry.foundation.durations import NANOSECONDS
from registry.foundation.patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.config.schema import Shape

SMALLEST = "version: 0.1\nstorage: inmemory\n"

Values = dict[str, Any]


class Go:
    """The program in the folder ``configuration``, which reads one configuration after the other."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, file: bytes, environ: Mapping[str, str] | None = None, *, release: int = 3) -> dict[str, Any]:
        """Return what the program tells: ``error``, or ``values`` and ``warnings``."""
        assert self.process.stdin
        assert self.process.stdout
        variables = {name: value.encode("utf-8", "surrogateescape") for name, value in (environ or {}).items()}
        environment = {name: _base64(value) for name, value in variables.items()}
        asked = {"release": release, "file": _base64(file), "environment": environment}
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def read(file: bytes, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what `Go.read` does, of this registry; ``warnings`` is a list."""
    try:
        configuration = parse(file, "config.yml", environ or {})
    except ConfigurationError as error:
        return {"error": str(error)}
    values = dict(_values(shape_of(Configuration), configuration, ""))
    return {"values": values, "warnings": configuration.warnings}


def _values(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    if shape.is_section:
        if attributes := plugin_attributes(shape.base):
            name, parameters = (getattr(value, attribute) for attribute in attributes)
            yield from _untyped(parameters, f"{path}.{name}")
        for key in keys(shape.base).values():
            yield from _values(key.shape, getattr(value, key.attribute), f"{path}.{key.name}".removeprefix("."))
    elif shape.item and isinstance(value, Mapping):
        for name, item in value.items():
            yield from _values(shape.item, item, f"{path}.{name}")
    elif shape.item:
        for index, item in enumerate(value):
            yield from _values(shape.item, item, f"{path}[{index}]")
    elif shape.base is float:
        yield path, {"whole": str(round(value * NANOSECONDS))}
    else:
        yield from _untyped(value.text if isinstance(value, Pattern) else value, path)


def _sent(path: str, value: Any) -> Any:
    """Return a header as Go's net/http sends it: with spaces for line breaks, and none around it."""
    if not path.startswith("http.headers.") or not isinstance(value, str):
        return value
    return value.replace("\r", " ").replace("\n", " ").strip(" \t")


def _untyped(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _untyped(item, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _untyped(item, f"{path}[{index}]")
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, {"whole": str(value)}
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, {"float": "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"}
    else:
        yield path, value


LATER_DEFAULTS = {"interval": {"whole": str(10 * NANOSECONDS)}, "statuscode": {"whole": "200"}}
"""Of a check in a list, where the Go registry has the default when it makes the check."""

DEFAULTS: Values = read(SMALLEST.encode())["values"]


def difference(go: dict[str, Any], ours: dict[str, Any]) -> object:
    """Return what the two tell differently: who refuses what, or the values of both; None if they agree.

    They agree where both refuse, whatever the reason. What has its zero value for Go may be absent here, or have
    its default. A text with a NUL, which nothing takes that a text is for, is refused here alone. A header is compared
    as it is sent.
    """
    if "holds a NUL" in ours.get("error", ""):
        return None
    if "error" in go or "error" in ours:
        return None if "error" in go and "error" in ours else (go.get("error", "taken"), ours.get("error", "taken"))
    theirs, here = go["values"], ours["values"]
    differing = {
        path: (theirs.get(path), here.get(path))
        for path in sorted(theirs.keys() | here.keys())
        if not (_equal(_sent(path, theirs[path]), here.get(path)) if path in theirs else _is_default(here[path], path))
    }
    return differing or None


def _equal(theirs: Any, here: Any) -> bool:
    if isinstance(theirs, float) or isinstance(here, float):  # JSON spells 1e+20 of Go with zeros
        return isinstance(here, float) and float(theirs) == here
    return bool(theirs == here) or (_is_zero(theirs) and _is_zero(here))


def _is_default(here: Any, path: str) -> bool:
    item, _, key = path.rpartition(".")
    later = LATER_DEFAULTS.get(key) if item.endswith("]") else None
    return _is_zero(here) or here in (DEFAULTS.get(path), later)


def _is_zero(value: Any) -> bool:
    return value in (None, "", False, 0, {"whole": "0"})
