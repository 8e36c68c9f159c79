from __future__ import annotations

import pytest

from registry.foundation.redaction import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "PUT /v2/a/blobs/uploads/1?_state=abc%3D&digest=sha256:0",
            "PUT /v2/a/blobs/uploads/1?_state=...&digest=sha256:0",
        ),
        ("GET https://user:pass@host/x failed", "GET https://...@host/x failed"),
        (
            "https://b.example/k?X-Amz-Signature=f00&X-Amz-Date=1",
            "https://b.example/k?X-Amz-Signature=...&X-Amz-Date=1",
        ),
        ("?sv=1&sig=a%2Fb&se=2", "?sv=1&sig=...&se=2"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ..."),
        ("authorization: bearer eyJhbGciOi.J9.x", "authorization: bearer ..."),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=...;EndpointSuffix=x"),
        ("password=hunter2 host=x", "password=... host=x"),
        ("/v2/token/tags/list?n=5", "/v2/token/tags/list?n=5"),
        ("a basic mistake", "a basic mistake"),
    ],
)
def test_secrets_are_taken_out_and_the_rest_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected
