"""From a tree to values: types are checked, and every complaint begins with the path of its key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from registry.config.errors import ConfigurationError, Findings
from registry.config.examples import example
from registry.config.schema import ANYTHING, Mark, keys, plugin_attributes
from registry.config.tree import NULL, Scalar, plain
from registry.foundation import durations, guessing, proxies, sizes
from registry.foundation.patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config.schema import Shape
    from registry.config.tree import Tree

_LARGEST = 2**63 - 1
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FRAMING = frozenset({"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers of one message or one connection (RFC 9110 sections 7.6.1 and 8.6, RFC 9112 section 6.1), in lower case."""
_CONTROL = re.compile(r"[\x00-\x08\n-\x1f\x7f]")


def join(path: str, name: str) -> str:
    """Return the path of the key `name` below `path`."""
    return f"{path}.{name}" if path else name


def section_mapping(shape: Shape, tree: Tree, path: str) -> Mapping[str, Tree]:
    """Return what lies in a section: nothing for null, one plugin without parameters for a bare word.

    Raises:
        ConfigurationError: it is neither, nor a mapping.
    """
    if isinstance(tree, dict):
        return tree
    if isinstance(tree, Scalar):
        if tree.value is None:
            return {}
        if plugin_attributes(shape.base):
            return {tree.text: NULL}
    raise _wrong_kind("a mapping", shape, tree, path)


def refuse_unusable_text(tree: Tree, path: str = "") -> None:
    """Return if all text in `tree` can be a name of a file, a header, a password or whatever else there is.

    Raises:
        ConfigurationError: YAML can spell what nothing takes: a NUL, and a half of a character of two.
    """
    if isinstance(tree, dict):
        for name, child in tree.items():
            _refuse_unusable(name, path)
            refuse_unusable_text(child, join(path, name))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            refuse_unusable_text(item, f"{path}[{index}]")
    else:
        _refuse_unusable(tree.text, path)


def _refuse_unusable(text: str, path: str) -> None:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ConfigurationError(path, "holds a NUL, or a character that is not one of Unicode")


def read(shape: Shape, tree: Tree, path: str, warnings: list[str]) -> Any:
    """Return the value that `tree` spells in the given shape; what is odd but harmless goes to `warnings`.

    Raises:
        ConfigurationError: it has another shape, or is a value that is not allowed.
    """
    if shape.is_section:
        return _section(shape, tree, path, warnings)
    if shape.base is tuple:
        return _list(shape, tree, path, warnings)
    if shape.base is Mapping:
        return _mapping(shape, tree, path, warnings)
    if shape.base is float:
        return _duration(shape, tree, path, warnings)
    return _LEAVES[shape.base](shape, tree, path)


def _section(shape: Shape, tree: Tree, path: str, warnings: list[str]) -> object:
    mapping = section_mapping(shape, tree, path)
    if not mapping and Mark.OPTIONAL in shape.marks:
        return None
    known = keys(shape.base)
    values = {}
    findings = Findings()
    for name, key in known.items():
        child = mapping.get(name, NULL)
        with findings.gathered():
            if not _absent(key.shape, child):
                value = read(key.shape, child, join(path, name), warnings)
                if not (Mark.ZERO_IS_DEFAULT in key.shape.marks and _is_zero(value)):
                    values[key.attribute] = value
    others = {name: child for name, child in mapping.items() if name not in known}
    if plugin_attributes(shape.base):
        with findings.gathered():
            values |= _plugin(shape, others, path)
    else:
        warnings.extend(_unknown(path, name, known) for name in others)
    findings.conclude()
    return shape.base(**values)


def _absent(shape: Shape, tree: Tree) -> bool:
    """Whether the key counts as not given: null, or "" where a word of a list is asked for."""
    if shape.is_section:
        # A plugin section must be looked into: the error that none is named arises there.
        return _is_null(tree) and not plugin_attributes(shape.base)
    return _is_null(tree) or (bool(shape.choices) and isinstance(tree, Scalar) and not tree.text)


def _is_zero(value: str | float) -> bool:
    return not value if isinstance(value, str) else value <= 0


def _plugin(shape: Shape, others: Mapping[str, Tree], path: str) -> dict[str, object]:
    attributes = plugin_attributes(shape.base)
    if attributes is None or len(others) != 1:
        given = ", ".join(others) or "none"
        replaced = f" (a variable REGISTRY_{path.upper()}=NAME replaces the whole section)"
        hint = replaced if others else example(path, shape)
        raise ConfigurationError(path, f"must name exactly one type, given: {given}{hint}")
    ((name, parameters),) = others.items()
    if not isinstance(parameters, dict) and not _is_null(parameters):
        raise _wrong_kind("a mapping", ANYTHING, parameters, join(path, name))
    return {attributes[0]: name, attributes[1]: plain(parameters) or {}}


def _unknown(path: str, name: str, known: Mapping[str, object]) -> str:
    return f"{join(path, name)}: unknown key, ignored{guessing.question(name, known)}"


def _list(shape: Shape, tree: Tree, path: str, warnings: list[str]) -> tuple[object, ...]:
    items = [] if _is_null(tree) else tree
    if not isinstance(items, list) or shape.item is None:
        raise _wrong_kind("a list", shape, tree, path)
    return tuple(read(shape.item, item, f"{path}[{index}]", warnings) for index, item in enumerate(items))


def _mapping(shape: Shape, tree: Tree, path: str, warnings: list[str]) -> dict[str, object]:
    if not isinstance(tree, dict) or shape.item is None:
        raise _wrong_kind("a mapping", shape, tree, path)
    found = {name: read(shape.item, child, join(path, name), warnings) for name, child in tree.items()}
    return _headers(found, path, warnings) if Mark.HEADERS in shape.marks else found


def _headers(found: Mapping[str, tuple[str, ...]], path: str, warnings: list[str]) -> dict[str, object]:
    """Return the headers as the Go registry sends them: values are one line each.

    Names that cannot be are left out, and those that would have the client misread where an answer ends.
    """
    headers: dict[str, object] = {}
    for name, values in found.items():
        lines = tuple(re.sub("[\r\n]", " ", value).strip(" \t") for value in values)
        if any(_CONTROL.search(line) for line in lines):
            raise ConfigurationError(join(path, name), "must not hold control characters")
        if not _HEADER_NAME.fullmatch(name):
            warnings.append(f"{join(path, name)}: cannot be the name of a header, ignored")
        elif name.lower() in _FRAMING:
            warnings.append(f"{join(path, name)}: belongs to a single message or connection, ignored")
        else:
            headers[name] = lines
    return headers


def _is_null(tree: Tree) -> bool:
    return isinstance(tree, Scalar) and tree.value is None


def _kind(tree: Tree) -> str:
    """Name the type and not the value: it may be part of a secret."""
    if isinstance(tree, Scalar):
        names = {str: "a string", bool: "true or false", int: "a number", float: "a number"}
        return names.get(type(tree.value), "nothing")
    return "a mapping" if isinstance(tree, dict) else "a list"


def _wrong_kind(wanted: str, shape: Shape, tree: Tree, path: str) -> ConfigurationError:
    """Return the error for what is not `wanted`, with an example of that if `tree` is a scalar."""
    shown = example(path, shape) if isinstance(tree, Scalar) else ""
    return ConfigurationError(path, f"must be {wanted}, not {_kind(tree)}{shown}")


def _shown(tree: Tree) -> str:
    """Show the value, a number as it is written, for keys that hold no secret."""
    if not isinstance(tree, Scalar):
        return _kind(tree)
    is_number = isinstance(tree.value, int | float) and not isinstance(tree.value, bool)
    return tree.text if is_number else json.dumps(tree.value, ensure_ascii=False)


def _anything(_shape: Shape, tree: Tree, _path: str) -> object:
    return plain(tree)


def _text(shape: Shape, tree: Tree, path: str) -> str:
    if not isinstance(tree, Scalar):
        raise ConfigurationError(path, f"must be a string, not {_kind(tree)}; quote it")
    text = "" if tree.value is None else tree.text
    if Mark.URL_PATH in shape.marks and text and not text.startswith("/"):
        raise ConfigurationError(path, f"must begin with a slash, not {_shown(tree)}")
    if Mark.URL in shape.marks and not _is_url(text):
        raise ConfigurationError(path, f"must be a URL such as https://registry.example, not {_shown(tree)}")
    if Mark.NETWORK in shape.marks:
        try:
            proxies.parse_network(text)
        except ValueError as error:
            raise ConfigurationError(path, f"{error}, not {_shown(tree)}") from None
    return text


def _is_url(text: str) -> bool:
    try:
        port = urlsplit(text).port
    except ValueError:
        return False
    return port != 0 and text.isprintable() and " " not in text


def _flag(_shape: Shape, tree: Tree, path: str) -> bool:
    if not isinstance(tree, Scalar) or not isinstance(tree.value, bool):
        raise ConfigurationError(path, f"must be true or false, not {_shown(tree)}")
    return tree.value


def _integer(shape: Shape, tree: Tree, path: str) -> int:
    value = _whole(tree.value) if isinstance(tree, Scalar) else None
    if value is None and Mark.SIZE in shape.marks:
        value = _size(tree, path)
    if value is None:
        raise ConfigurationError(path, f"must be a whole number, not {_shown(tree)}")
    if value < shape.minimum:
        raise ConfigurationError(path, f"must be at least {shape.minimum:g}, not {_shown(tree)}")
    if value > shape.maximum:
        raise ConfigurationError(path, f"must be at most {shape.maximum:g}, not {_shown(tree)}")
    if value > _LARGEST:
        raise ConfigurationError(path, f"must be less than 2**63, not {_shown(tree)}")
    return value


def _size(tree: Tree, path: str) -> int:
    try:
        return sizes.parse(tree.text if isinstance(tree, Scalar) and isinstance(tree.value, str) else "")
    except ValueError:
        raise ConfigurationError(path, f"must be a number of bytes such as 10GiB, not {_shown(tree)}") from None


def _duration(shape: Shape, tree: Tree, path: str, warnings: list[str]) -> float:
    text = str(tree.value) if isinstance(tree, Scalar) else ""
    number = _whole(tree.value) if isinstance(tree, Scalar) else None
    if number is not None:
        text = str(number) if Mark.UNIT in shape.marks else f"{number}ns"  # a time.Duration of Go's counts those
    try:
        seconds = durations.parse(text)
    except ValueError:
        wrong = f"must be a duration such as 1h30m, not {_shown(tree)}{durations.hint(text)}"
        raise ConfigurationError(path, wrong) from None
    if seconds < shape.minimum:
        raise ConfigurationError(path, f"must not be negative: {_shown(tree)}")
    if number and seconds > 0:
        nanoseconds = f"{number} means {number} ns, as for the Go registry, since it has no unit"
        warnings.append(f"{path}: {nanoseconds}; write {number}s if seconds are meant, else {_spelled(number)}")
    return seconds


def _spelled(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, durations.NANOSECONDS)
    return f"{nanoseconds}ns" if rest else durations.spell(seconds)


def _whole(value: object) -> int | None:
    """Return the number, if it is one without a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        return None
    return int(value)


def _choice(shape: Shape, tree: Tree, path: str) -> str:
    word = tree.text.lower() if isinstance(tree, Scalar) else ""
    if word not in shape.choices:
        hint = guessing.question(word, shape.choices)
        raise ConfigurationError(path, f"must be one of {', '.join(shape.choices)}, not {_shown(tree)}{hint}")
    return word


def _pattern(shape: Shape, tree: Tree, path: str) -> Pattern:
    try:
        return Pattern.parse(_text(shape, tree, path))
    except ValueError as error:
        raise ConfigurationError(path, f"must be a regular expression of RE2, {error}: {_shown(tree)}") from None


_LEAVES: dict[Any, Callable[[Shape, Tree, str], Any]] = {
    object: _anything,
    str: _text,
    bool: _flag,
    int: _integer,
    Literal: _choice,
    Pattern: _pattern,
}
