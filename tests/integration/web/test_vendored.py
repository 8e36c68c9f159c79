"""What the pages have of others is what others have published."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from tests.integration.clients import missing
from tests.integration.web.chromium import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

_PUBLISHED: Final = PROJECT / ".npm" / "node_modules" / "htmx.org"
_OURS: Final = PROJECT / "registry" / "web" / "static"


def test_htmx_is_the_file_that_its_authors_have_published_and_its_licence_is_beside_it() -> None:
    published = _published("dist/htmx.min.js")
    assert (_OURS / "htmx.min.js").read_bytes() == published.read_bytes()
    said = json.loads(_published("package.json").read_text())
    licence = (_OURS / "htmx.LICENSE.txt").read_text()
    assert _words(licence) == _words(_published("LICENSE").read_text())
    assert re.fullmatch(r"2\.\d+\.\d+", said["version"]), "a new major version is to be looked at"


def _published(name: str) -> Path:
    path = _PUBLISHED / name
    if not path.exists():
        missing(f"{path.relative_to(PROJECT)}, which make installs with npm,")
    return path


def _words(text: str) -> list[str]:
    return text.split()
