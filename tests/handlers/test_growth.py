"""Whatever a client puts into a header or a URL, the time of the answer grows with its length and no faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.content import ABSENT
from tests.growth import grows_linearly
from tests.handlers.pushing import push_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient

# What a parser with nested repetition tries in every way, when something unexpected comes at the end.
REPEATED = ("a", " ", ",", ";", "=", '"', "\\", "/", "a, ", "a;", 'a="', '"a", ', "a=b;", "a*0=b;", "1-", "[", ":")


@pytest.mark.parametrize(
    ("header", "before"),
    [
        ("Host", ""),
        *[("Forwarded", before) for before in ("", "for=a;host=", 'for=a;host="')],
        *[(f"X-Forwarded-{name}", "") for name in ("Host", "Proto", "For")],
        *[("Authorization", before) for before in ("", "Basic ", "Bearer ")],
        *[("Content-Type", before) for before in ("", "application/x;", 'application/x; a="')],
        *[("If-None-Match", before) for before in ("", '"', "W/")],
        *[("If-Match", ""), ("If-Range", ""), ("Accept", ""), ("Cookie", ""), ("Origin", ""), ("X-Request-Id", "")],
        *[("Range", before) for before in ("", "bytes=")],
        *[("Content-Range", before) for before in ("", "bytes ")],
    ],
)
def test_headers_are_read_in_linear_time(client: FlaskClient, header: str, before: str) -> None:
    push_image(client, "a", "t")

    def get(value: str) -> None:
        client.get("/v2/a/manifests/t", headers={header: value})

    def post(value: str) -> None:
        client.post("/v2/a/blobs/uploads/", headers={header: value})

    for repeated in REPEATED:
        assert grows_linearly(get, repeating(before, repeated, "!")), f"GET {header}: {before}{repeated}"
        assert grows_linearly(post, repeating(before, repeated, "!")), f"POST {header}: {before}{repeated}"


@pytest.mark.parametrize(
    "before", ["/v2/", "/v2/a/manifests/", "/v2/a/blobs/uploads/", "/v2/_catalog?last=", "/v2/a/tags/list?n="]
)
def test_urls_are_read_in_linear_time(client: FlaskClient, before: str) -> None:
    for repeated in (*REPEATED, "a/", "a/manifests/", "/blobs/uploads", "%2f", f"{ABSENT}/", "&a=b"):
        assert grows_linearly(client.get, repeating(before, repeated, "/t!")), before + repeated


def repeating(before: str, repeated: str, after: str) -> Callable[[int], str]:
    return lambda size: before + repeated * (size // len(repeated)) + after
