from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proxy.cache import OPENED
from tests.upstreams import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.upstreams import Registry


@pytest.fixture
def upstream() -> Iterator[Registry]:
    """A registry to cache; what was opened of it is closed behind the test."""
    with registry() as serving:
        yield serving
    while OPENED:
        OPENED.pop().close()
