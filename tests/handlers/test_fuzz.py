"""Whatever comes, the answer is the specification's: no 500, no HTML, no traceback, and what is stored stays."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.oci.digest import Digest
from tests.content import ABSENT, image
from tests.handlers.pushing import error_of, push_image

if TYPE_CHECKING:
    from flask.testing import FlaskClient

KEPT = image(b"{}")
ID = "5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"

# As a server hands them over: any byte, decoded as Latin-1.
WIRE = st.text(st.characters(max_codepoint=255), max_size=30)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
PARTS = st.sampled_from(
    [
        *["v2", "_catalog", "tags", "list", "manifests", "blobs", "uploads", "referrers", "latest", "kept", "a", ID],
        *["", "..", ".", "%2f", "\0", "\n", "\xff", "sha256:", str(ABSENT), str(Digest.of(KEPT)), "A" * 300],
    ],
)
PATHS = st.lists(PARTS | WIRE, max_size=8).map(lambda parts: "/" + "/".join(parts))
ROUTES = st.builds(
    lambda name, rest: f"/v2/{name}/{rest}",
    PARTS | WIRE,
    st.sampled_from(["tags/list", "blobs/uploads/", f"blobs/uploads/{ID}", "_catalog"])
    | st.builds(
        lambda kind, reference: f"{kind}/{reference}", st.sampled_from(["manifests", "blobs", "referrers"]), PARTS
    ),
)
# Servers refuse a request line with other than ASCII in it, but they do not look behind a percent sign.
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(
            ["n", "last", "digest", "mount", "from", "_state", "tag", "artifactType", "digest-algorithm", ""],
        ),
        WIRE | PARTS | st.integers().map(str),
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={quote(value, safe='/:%', encoding='latin-1')}" for name, value in pairs))
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *["HTTP_HOST", "HTTP_FORWARDED", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_FOR"],
            *["HTTP_X_REAL_IP", "HTTP_AUTHORIZATION", "HTTP_ACCEPT", "HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH"],
            *["HTTP_IF_NONE_MATCH", "HTTP_CONTENT_RANGE", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"],
            *["HTTP_EXPECT", "HTTP_CONTENT_ENCODING", "HTTP_COOKIE", "REMOTE_ADDR", "SERVER_NAME"],
        ],
    ),
    WIRE | st.sampled_from(["bytes=0-0", "0-0", "*", 'host="a', "chunked", "99", "0", "[::1", "a" * 5000]),
    max_size=5,
)
BODIES = st.binary(max_size=30) | st.sampled_from([KEPT, b"{}", b"[" * 5000])


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    """One registry for all examples: what one of them does must not harm the next."""
    push_image(client, "kept", "latest")
    return client


@given(METHODS, PATHS | ROUTES, QUERIES, HEADERS, BODIES)
@example("GET", "/v2/_catalog", "last=" + "a/" * 4000, {}, b"")
@example("POST", "/v2/a/blobs/uploads/", "", {"HTTP_FORWARDED": "host*=utf-8''a%0d%0ab"}, b"")
@example("PUT", "/v2/a/manifests/latest", "", {"CONTENT_LENGTH": "9" * 5000}, b"")
@settings(max_examples=400)
def test_no_request_is_answered_with_500_or_html(
    client: FlaskClient,
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
) -> None:
    environ = {"PATH_INFO": path, "QUERY_STRING": query, **headers}

    with client.open("/", method=method, data=body, environ_overrides=environ) as response:
        assert response.status_code < 500 or response.status_code in {501, 503, 507}
        assert "html" not in (response.content_type or "")
        assert b"Traceback" not in response.data
        for name, value in response.headers:
            assert not {"\r", "\n", "\0"} & {*name, *value}
            value.encode("latin-1")
        if response.status_code >= 400 and method != "HEAD" and path.strip("/"):
            error_of(response)
    assert client.get("/v2/kept/manifests/latest").data == KEPT
