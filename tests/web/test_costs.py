"""How many calls of a bucket a page costs: it does not grow with what the page does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.handlers.pushing import push_image
from tests.web.images import push_whole_image
from tests.web.visiting import Browser

pytest.importorskip("botocore", reason="the s3 extra is not installed")

from tests.drivers.s3.strict import StrictS3
from tests.drivers.s3.test_costs import driver_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Serve

UI = {"enabled": True}


@pytest.fixture
def bucket() -> Iterator[StrictS3]:
    with StrictS3() as server:
        yield server


def _cost(server: StrictS3, browser: Browser, path: str) -> dict[str, int]:
    """Return the calls that opening a page for the first time makes, by kind."""
    server.calls.clear()
    assert browser.get(path).status == 200
    return dict(+server.calls)


def test_a_page_of_tags_looks_at_the_tags_that_it_shows_and_once_at_each_image(serve: Serve, bucket: StrictS3) -> None:
    writer = serve(driver_of(bucket))
    for number in range(20):
        push_image(writer, "app", *(f"v{number}.{minor}" for minor in range(5)), config=b'{"n": %d}' % number)
    shown, images = 50, 10

    cost = _cost(bucket, Browser(serve(driver_of(bucket), ui=UI)), "/ui/app")

    assert cost["ListObjectsV2"] <= 6
    assert cost["HeadObject"] <= shown + images
    assert cost["GetObject"] <= shown + 4 * images


def test_a_second_page_with_the_same_images_looks_at_none_of_their_content(serve: Serve, bucket: StrictS3) -> None:
    writer = serve(driver_of(bucket))
    push_image(writer, "app", *(f"v{number}" for number in range(100)))
    browser = Browser(serve(driver_of(bucket), ui=UI))
    following = next(link for link in browser.get("/ui/app").links if "after=" in link)

    assert _cost(bucket, browser, following)["GetObject"] <= 50 + 2


def test_the_page_of_an_image_costs_a_dozen_calls(serve: Serve, bucket: StrictS3) -> None:
    digest = push_whole_image(serve(driver_of(bucket)), "app", "v1")

    for path in ("/ui/app:v1", f"/ui/app@{digest}"):
        cost = _cost(bucket, Browser(serve(driver_of(bucket), ui=UI)), path)
        assert sum(cost.values()) <= 12
