from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from registry.oci.digest import Digest
from registry.storage.links import read_link, write_link
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver

PATH = "/docker/registry/v2/repositories/a/_layers/sha256/x/link"
TARGET = Digest.of(b"content")


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_link_reads_back(driver: InMemoryDriver, algorithm: str) -> None:
    target = Digest.of(b"content", algorithm)

    write_link(driver, PATH, target)

    assert read_link(driver, PATH) == target


def test_a_link_is_the_digest_and_nothing_more(driver: InMemoryDriver) -> None:
    write_link(driver, PATH, TARGET)

    assert driver.get(PATH, limit=1000) == str(TARGET).encode()


def test_what_is_not_there_is_no_link(driver: InMemoryDriver) -> None:
    assert read_link(driver, PATH) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 71,
        b"\n",
        f"{TARGET}\n".encode(),
        f" {TARGET}".encode(),
        str(TARGET).encode()[:-1],
        str(TARGET).upper().encode(),
        str(TARGET).encode("utf-16"),
        b"md5:d41d8cd98f00b204e9800998ecf8427e",
        b"\xff\xfe",
        b"sha256:" + b"a" * 10_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_malformed_link_counts_as_absent_until_it_is_written_again(driver: InMemoryDriver, content: bytes) -> None:
    driver.put(PATH, content)

    assert read_link(driver, PATH) is None

    write_link(driver, PATH, TARGET)
    assert read_link(driver, PATH) == TARGET


def test_a_medium_that_fails_is_not_a_missing_link(driver: InMemoryDriver) -> None:
    write_link(driver, PATH, TARGET)

    with pytest.raises(DriverError):
        read_link(FailingDriver(driver, fail_at=1), PATH)
