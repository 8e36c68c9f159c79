"""What the dataclasses in ``values`` say about the file: which keys there are and what shape each has.

The schema is declared once, by the types, defaults and marks of those classes. Reading, environment
variables, unknown-key warnings and printing all derive from it through this module.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from registry.foundation.patterns import Pattern

_DURATION_SUFFIX = "_seconds"


class Mark(Enum):
    """What a type cannot say of a field; written ``Annotated[str, Mark.SECRET]``."""

    SECRET = auto()
    """Printed as ``<redacted>``, whole: every value below it."""

    UNIT = auto()
    """A duration of which a number without a unit is an error, and not nanoseconds. 0 needs no unit."""

    ZERO_IS_DEFAULT = auto()
    """Zero, a negative number and "" mean the default, as they do where Go cannot tell them from absent."""

    SIZE = auto()
    """A number of bytes, with a unit or without one: ``10GiB``."""

    URL_PATH = auto()
    """Begins with a slash, where given."""

    NETWORK = auto()
    """An address or a network as CIDR."""

    URL = auto()
    """A URL, or a host where that is enough; where given, it can be parsed as one."""

    HEADERS = auto()
    """Headers of HTTP and their values (RFC 9110 section 5)."""

    OPTIONAL = auto()
    """The field may be None (derived from ``X | None``)."""

    PLUGIN_NAME = auto()
    """Takes the name of the one key of the section that is not a field: ``filesystem``, ``htpasswd``."""

    PLUGIN_PARAMETERS = auto()
    """Takes what lies under that key."""

    NOT_A_KEY = auto()
    """Not part of the file."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """The smallest number allowed; a number without this mark may not be negative."""

    value: float


ANY_SIGN = Minimum(-(2.0**63))


@dataclass(frozen=True, slots=True)
class Maximum:
    """The largest number allowed."""

    value: float


@dataclass(frozen=True, slots=True)
class GoName:
    """The field's name in the Go registry, where REGISTRY_* variables spell it so and not as the key."""

    name: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a value.

    `base` is ``str``, ``bool``, ``int``, ``float`` (always a duration), ``Pattern``, ``Literal``,
    ``object`` (anything), ``tuple`` or ``Mapping`` (both of `item`), or a dataclass (a section).
    """

    base: Any
    item: Shape | None = None
    choices: tuple[str, ...] = ()
    marks: frozenset[object] = frozenset()

    @property
    def minimum(self) -> float:
        """The smallest number allowed."""
        return next((mark.value for mark in self.marks if isinstance(mark, Minimum)), 0)

    @property
    def maximum(self) -> float:
        """The largest number allowed."""
        return next((mark.value for mark in self.marks if isinstance(mark, Maximum)), math.inf)

    @property
    def is_section(self) -> bool:
        """Whether this is a mapping with keys known beforehand."""
        return dataclasses.is_dataclass(self.base) and self.base is not Pattern


ANYTHING = Shape(object)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section: how the file spells it, the attribute that takes it, and its shape."""

    name: str
    attribute: str
    shape: Shape

    @property
    def variable_parts(self) -> frozenset[str]:
        """How a REGISTRY_* variable may spell it."""
        go_names = {mark.name for mark in self.shape.marks if isinstance(mark, GoName)}
        return frozenset(name.upper() for name in {self.name} | go_names)


@cache
def keys(section: type) -> Mapping[str, Key]:
    """Return the keys of `section`, a dataclass, in the order of their declaration."""
    hidden = {Mark.PLUGIN_NAME, Mark.PLUGIN_PARAMETERS, Mark.NOT_A_KEY}
    found = {}
    for attribute, shape in _shapes(section).items():
        if not shape.marks & hidden:
            name = attribute.removesuffix(_DURATION_SUFFIX).removesuffix("_")  # from_: from is a keyword of Python
            found[name] = Key(name, attribute, shape)
    return found


@cache
def plugin_attributes(section: type) -> tuple[str, str] | None:
    """Return the attributes for a plugin's name and parameters, if `section` names one by a key."""
    by_mark = {mark: attribute for attribute, shape in _shapes(section).items() for mark in shape.marks}
    if Mark.PLUGIN_NAME not in by_mark:
        return None
    return by_mark[Mark.PLUGIN_NAME], by_mark[Mark.PLUGIN_PARAMETERS]


def _shapes(section: type) -> dict[str, Shape]:
    hints = typing.get_type_hints(section, include_extras=True)
    return {field.name: shape_of(hints[field.name]) for field in dataclasses.fields(section)}


def shape_of(hint: Any) -> Shape:
    """Return the shape that a type annotation stands for.

    Raises:
        TypeError: a configuration does not have values of such a type.
    """
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        shape = shape_of(inner)
        return dataclasses.replace(shape, marks=shape.marks | set(marks))
    if get_origin(hint) in {Union, UnionType}:
        (inner,) = (option for option in get_args(hint) if option is not NoneType)
        shape = shape_of(inner)
        return dataclasses.replace(shape, marks=shape.marks | {Mark.OPTIONAL})
    return _bare_shape(hint)


def _bare_shape(hint: Any) -> Shape:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return Shape(Literal, choices=arguments)
    if origin is tuple:
        return Shape(tuple, shape_of(arguments[0]))
    if origin is Mapping:
        return Shape(Mapping, shape_of(arguments[1]))
    if hint in {str, bool, int, float, object, Pattern} or dataclasses.is_dataclass(hint):
        return Shape(hint)
    raise TypeError(f"a configuration does not hold {hint!r}")
