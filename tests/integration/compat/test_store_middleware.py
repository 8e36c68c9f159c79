"""Storage middleware over a bucket: ``make test-s3``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from tests.drivers.middleware.cloudfront import key_file
from tests.integration.clients import missing
from tests.integration.servers import Server, distribution_v3, ours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drivers.stores import Store

pytestmark = [pytest.mark.s3, pytest.mark.timeout(300)]

TIMELY = "([?&](?:Expires|Signature|X-Amz-Date|X-Amz-Signature|X-Amz-Credential)=)[^&]*"
"""The parameters of a signed URL that are not the same a second later."""


@pytest.mark.parametrize(
    "middleware",
    [
        {"redirect": {"baseurl": "https://cdn.example/images/"}},
        {"rewrite": {"scheme": "https", "host": "cdn.example", "trimpathprefix": "/images"}},
        {"cloudfront": {"baseurl": "cdn.example/a", "keypairid": "K"}},
        {
            "redirect": {"baseurl": "https://cdn.example/images"},
            "rewrite": {"trimpathprefix": "/images/docker/", "scheme": "http"},
        },
    ],
    ids="+".join,
)
def test_middleware_sends_clients_where_the_go_registry_sends_them(
    s3: Store, tmp_path: Path, middleware: dict[str, dict[str, str]]
) -> None:
    if distribution_v3() is None:
        missing("DISTRIBUTION_V3")
    key = {"privatekey": key_file(tmp_path)}  # the others pass it over
    entries = [{"name": name, "options": options | key} for name, options in middleware.items()]
    locations = []
    for flavour in (ours(), distribution_v3()):
        assert flavour
        server = Server(flavour, tmp_path / "none", tmp_path, storage={"s3": s3.parameters(tmp_path.name)})
        server.settings = {"middleware": {"storage": entries}}
        server.start()
        try:
            digest = server.api.push_blob("one/blob", b"content")
            answer = server.api.get(f"/v2/one/blob/blobs/{digest}")
        finally:
            server.stop()
        assert answer.status == 307, answer
        locations.append(re.sub(TIMELY, r"\1", answer.headers["Location"]))

    assert locations[0] == locations[1]
