from __future__ import annotations

from pathlib import Path

import pytest

from registry.config.schema import Mark, keys
from registry.config.values import Configuration

_TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def _paths(section: type, above: str = "") -> list[str]:
    found = []
    for key in keys(section).values():
        path, shape = f"{above}{key.name}", key.shape
        if shape.is_section and Mark.OPTIONAL not in shape.marks:
            found += _paths(shape.base, f"{path}.")
        elif shape.base is tuple and shape.item and shape.item.is_section:
            found += [path, *_paths(shape.item.base, f"{path}[].")]
        else:
            found.append(path)
    return found


@pytest.mark.parametrize("path", _paths(Configuration))
def test_every_key_is_in_the_reference_with_its_variable(path: str) -> None:
    (row,) = (line for line in _TEXT.splitlines() if line.startswith(f"| `{path}` |"))
    variable = "REGISTRY_" + path.upper().replace("[]", "_N").replace(".", "_")
    assert path == "version" or f"| `{variable}` |" in row


def test_the_reference_has_no_key_that_is_gone() -> None:
    body = _TEXT.partition("## Keys\n")[2].partition("## Keys of older formats")[0]
    rows = [line.split("`")[1] for line in body.splitlines() if line.startswith("| `")]
    assert rows
    assert not set(rows) - set(_paths(Configuration))
