"""How many calls of the store follow one another in each request of a client; the documentation has the table.

Over a real bucket each takes 10 to 50 ms, so that this is what a client waits for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.drivers.sequences import Calls, Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from tests.conftest import Serve
    from tests.drivers.azure.server import AzureServer
    from tests.drivers.gcs.server import GcsServer
    from tests.drivers.proxy import Answer

DOCUMENT = Path(__file__).parents[2] / "docs" / "storage-drivers.md"
TITLE = "## Calls in sequence"


def documented(store: str) -> dict[str, int]:
    """Give the column of the table for `store`."""
    lines = DOCUMENT.read_text().partition(TITLE)[2].partition("\n## ")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: int(row[table[0].index(store)]) for row in table[2:]}


def assert_documented(store: str, serve: Serve, start: Callable[[], StorageDriver], calls: Calls) -> None:
    requests = Requests(lambda: serve(start(), storage={"cache": {"blobdescriptor": "inmemory"}}))
    expected, kinds = documented(store), requests.kinds()
    found = {kind: calls.fewest(prepare, expected.get(kind, 0)) for kind, prepare in kinds.items()}
    for kind, number in found.items():
        print(f"| {kind} | {number} |")
    assert found == expected


def test_calls_to_amazon_s3_follow_one_another_as_the_table_says(serve: Serve) -> None:
    pytest.importorskip("boto3", reason="the s3 extra is not installed")
    from tests.drivers.s3.strict import StrictS3  # noqa: PLC0415
    from tests.drivers.s3.test_costs import driver_of  # noqa: PLC0415

    calls = Calls()

    class Slow(StrictS3):
        def answer(self, operation: str, key: str, *more: object) -> Answer:  # type: ignore[override]
            with calls.during(key):
                return super().answer(operation, key, *more)  # type: ignore[arg-type,return-value]

    with Slow() as server:
        assert_documented("s3", serve, lambda: driver_of(server), calls)


@pytest.mark.gcs
def test_calls_to_google_follow_one_another_as_the_table_says(serve: Serve, gcs: GcsServer) -> None:
    assert_documented_behind_a_proxy("gcs", serve, gcs)


@pytest.mark.azure
def test_calls_to_azure_follow_one_another_as_the_table_says(serve: Serve, azure: AzureServer) -> None:
    assert_documented_behind_a_proxy("azure", serve, azure)


def assert_documented_behind_a_proxy(name: str, serve: Serve, store: GcsServer | AzureServer) -> None:
    calls, medium = Calls(), store.medium()

    def slow(_: str, target: str, passed: Callable[[], Answer]) -> Answer:
        with calls.during(target):
            return passed()

    with store.proxy.intercepting(slow):
        assert_documented(name, serve, medium.driver, calls)
