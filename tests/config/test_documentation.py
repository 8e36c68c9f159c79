from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.config.schema import Mark, keys
from registry.config.values import Configuration

if TYPE_CHECKING:
    from registry.config.schema import Shape

_TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def _shapes(section: type, above: str = "") -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for key in keys(section).values():
        path, shape = f"{above}{key.name}", key.shape
        if shape.is_section and Mark.OPTIONAL not in shape.marks:
            found |= _shapes(shape.base, f"{path}.")
        elif shape.base is tuple and shape.item and shape.item.is_section:
            found |= {path: shape} | _shapes(shape.item.base, f"{path}[].")
        else:
            found[path] = shape
    return found


_SHAPES = _shapes(Configuration)


def _row(path: str) -> str:
    (row,) = (line for line in _TEXT.splitlines() if line.startswith(f"| `{path}` |"))
    return row


@pytest.mark.parametrize("path", _SHAPES)
def test_every_key_is_in_the_reference_with_its_variable(path: str) -> None:
    row = _row(path)
    variable = "REGISTRY_" + path.upper().replace("[]", "_N").replace(".", "_")
    assert path == "version" or f"| `{variable}` |" in row


def test_the_reference_has_no_key_that_is_gone() -> None:
    body = _TEXT.partition("## Keys\n")[2].partition("## Keys of older formats")[0]
    rows = [line.split("`")[1] for line in body.splitlines() if line.startswith("| `")]
    assert rows
    assert not set(rows) - set(_SHAPES)


@pytest.mark.parametrize("path", [path for path, shape in _SHAPES.items() if shape.base is float])
def test_a_duration_that_needs_a_unit_says_so_and_those_that_only_this_registry_has_do(path: str) -> None:
    needs_unit = Mark.UNIT in _SHAPES[path].marks
    assert ("Needs a unit." in _row(path)) is needs_unit
    assert needs_unit or "| Ours." not in _row(path)
