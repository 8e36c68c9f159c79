"""The same requests to Debian's docker-registry and to ours: equal answers, except for the documented differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.compat.cases import CASES, Case
from tests.integration.compat.differences_reading import READING
from tests.integration.compat.differences_writing import WRITING
from tests.integration.compat.observation import observe
from tests.integration.compat.seeding import seed
from tests.integration.servers import Flavour, Server, ours

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)

Pair = tuple[Server, Server]

DIFFERENCES = READING | WRITING


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, debian_flavour: Flavour) -> Iterator[Pair]:
    """Debian's registry and ours, with the same content in a root of its own each."""
    started: list[Server] = []
    try:
        for flavour in (debian_flavour, ours()):
            directory = tmp_path_factory.mktemp(flavour.name)
            started.append(Server(flavour, directory / "root", directory).start())
            seed(started[-1].api)
        yield started[0], started[1]
    finally:
        for server in started:
            server.stop_cleanly()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answer_differs_from_the_go_registry_only_as_documented(pair: Pair, case: Case) -> None:
    theirs, our = (observe(server.api, case) for server in pair)
    differing = {
        name: (theirs.get(name), our.get(name))
        for name in sorted(theirs.keys() | our.keys())
        if theirs.get(name) != our.get(name)
    }
    documented = DIFFERENCES.get(case.name)
    assert differing == (documented.fields if documented else {})


def test_every_documented_difference_belongs_to_a_request() -> None:
    assert DIFFERENCES.keys() <= {case.name for case in CASES}
    assert len({case.name for case in CASES}) == len(CASES)
