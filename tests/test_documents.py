"""The Markdown files of the project: what they name is there, and the README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.version import Version

from registry import __version__

PROJECT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(PROJECT))
    for path in (*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"))
    if path.name != "CHANGELOG.md"
)
MODULE = re.compile(r"(?<![\w./*-])((?:\w+/)+\w+\.py)\b")
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
README_LINES = 100
LINES_UNTIL_IT_RUNS = 60


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_a_page_names_exist(page: str) -> None:
    named = MODULE.findall((PROJECT / page).read_text())
    assert [name for name in named if not any((PROJECT / room / name).is_file() for room in ("", "registry"))] == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_that_a_page_shows_exist(page: str) -> None:
    shown = PICTURE.findall((PROJECT / page).read_text())
    assert [path for path in shown if not (PROJECT / page).parent.joinpath(path).is_file()] == []


def test_every_picture_is_shown_by_a_page() -> None:
    shown = {
        (PROJECT / page).parent.joinpath(path)
        for page in PAGES
        for path in PICTURE.findall((PROJECT / page).read_text())
    }
    assert set(PROJECT.glob("docs/pictures/*")) <= shown
    assert shown


def test_readme_is_two_screens_and_runs_on_the_first() -> None:
    text = (PROJECT / "README.md").read_text()
    until_it_runs = text[: text.index("\n## ", text.index("\n## Run it in earnest") + 1)]
    assert len(text.splitlines()) <= README_LINES
    assert len(until_it_runs.splitlines()) <= LINES_UNTIL_IT_RUNS


def test_changelog_tells_of_this_version_or_of_what_is_not_released_yet() -> None:
    """A tag is made of a commit whose first section is the version's: CONTRIBUTING.md, Releasing."""
    first, *others = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [first, *others] if first != "Unreleased" else others
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+), \d{4}-\d\d-\d\d", section) for section in released]
    assert all(dated), released
    versions = [Version(match[1]) for match in dated if match]
    assert versions == sorted(set(versions), reverse=True)
    assert versions[:1] in ([], [Version(__version__)])
