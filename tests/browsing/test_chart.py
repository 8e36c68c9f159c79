"""What is found in a chart of helm."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.browsing.chart import readme

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 1000


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a chart as ``helm package`` makes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as chart:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            chart.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["app/README.md", "app/readme.md", "./app/README.md"])
def test_the_readme_of_a_chart_is_the_one_in_its_directory(name: str) -> None:
    files = {"app/Chart.yaml": b"name: app", "app/charts/db/README.md": b"not this one", name: b"# App"}

    assert readme(packed(files), LIMIT) == b"# App"


def test_a_chart_without_a_readme_has_none() -> None:
    assert readme(packed({"app/Chart.yaml": b"name: app", "README.md": b"outside", "/README.md": b"x"}), LIMIT) is None


def test_a_long_readme_is_cut() -> None:
    assert readme(packed({"app/README.md": b"x" * 5000}), LIMIT) == b"x" * LIMIT


def test_a_link_is_not_followed() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as chart:
        member = tarfile.TarInfo("app/README.md")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        chart.addfile(member)

    assert readme(buffer.getvalue(), LIMIT) is None


def test_a_chart_that_unpacks_to_very_much_is_looked_into_up_to_a_limit() -> None:
    zeros = bytes(64 * 1024 * 1024)
    early = packed({"app/README.md": b"# App", "app/values.yaml": zeros})
    late = packed({"app/values.yaml": zeros, "app/README.md": b"# App"})

    assert len(late) < 100_000
    assert (readme(early, LIMIT), readme(late, LIMIT)) == (b"# App", None)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", b"no gzip", gzip.compress(b"no tar"), gzip.compress(b"x" * 2000)],
    ids=["nothing", "the beginning of a gzip", "no gzip", "a gzip of no archive", "a gzip of noise"],
)
def test_what_is_not_a_chart_has_no_readme(content: bytes) -> None:
    assert readme(content, LIMIT) is None


@given(st.integers(0, 1023), st.integers(0, 255))
def test_a_damaged_chart_is_looked_into(position: int, byte: int) -> None:
    content = bytearray(gzip.decompress(packed({"app/README.md": b"# App"})))
    content[position] = byte

    assert len(readme(gzip.compress(bytes(content)), LIMIT) or b"") <= LIMIT


@given(st.integers(0, 100))
def test_a_chart_that_breaks_off_is_looked_into(length: int) -> None:
    assert readme(packed({"app/README.md": b"# App"})[:length], LIMIT) in {None, b"", b"# App"}
