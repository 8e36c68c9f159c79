"""One browser for all tests of pages, and a registry with something to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.web.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running
