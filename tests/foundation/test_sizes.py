from __future__ import annotations

import re

import pytest

from registry.foundation.sizes import parse, spelled


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("512B", 512),
        ("10GiB", 10 * 2**30),
        ("10 GiB", 10 * 2**30),
        ("10gib", 10 * 2**30),
        ("10Gi", 10 * 2**30),
        ("10GB", 10 * 10**9),
        ("10G", 10 * 10**9),
        ("1.5MiB", 1536 * 1024),
        ("1k", 1000),
        ("2TiB", 2 * 2**40),
    ],
)
def test_a_size_is_a_number_of_bytes_with_a_unit_or_without_one(text: str, size: int) -> None:
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "1 PiB", "1.GiB", "1e3", "10 G iB", "ten", "1GiBB", "1iB"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse(text)


@pytest.mark.parametrize("size", [0, 1, 512, 2**20, 3 * 2**30])
def test_a_size_that_is_spelled_can_be_read(size: int) -> None:
    assert parse(spelled(size)) == size
