"""Where clients of the API are sent for content when ``middleware.storage`` has a say in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drivers.inmemory import InMemoryDriver
from registry.plugins import PluginError
from tests.drivers.middleware.cloudfront import key_file, serving_networks
from tests.handlers.pushing import push_blob
from tests.serving import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Serve

CONTENT = b"content" * 1000
REDIRECT = {"name": "redirect", "options": {"baseurl": "https://cdn.example/images/"}}


class Bucket(InMemoryDriver):
    """Objects in a bucket of S3, in which each has a URL."""

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del method, client
        return f"https://bucket.example/{path[1:]}?signed=1"

    def object_key(self, path: str) -> str | None:
        return path[1:]


def test_a_get_is_sent_to_the_other_server_and_a_head_is_answered(serve: Serve) -> None:
    client = serve(storage={"redirect": {}}, middleware={"storage": [REDIRECT]})
    digest = push_blob(client, "team/app", CONTENT)
    target = f"/v2/team/app/blobs/{digest}"

    response = client.get(target)

    assert (response.status_code, response.data) == (307, b"")
    path = f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"
    assert response.headers["Location"] == f"https://cdn.example/images/{path}"
    assert response.headers["Docker-Content-Digest"] == str(digest)
    head = client.head(target)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert "Location" not in head.headers


def test_a_blob_that_the_repository_has_not_leads_nowhere(serve: Serve) -> None:
    client = serve(storage={"redirect": {}}, middleware={"storage": [REDIRECT]})
    digest = push_blob(client, "team/app", CONTENT)

    assert client.get(f"/v2/team/other/blobs/{digest}").status_code == 404


def test_a_url_is_rewritten_on_its_way_to_the_client(serve: Serve) -> None:
    rewrite = {"name": "rewrite", "options": {"host": "cdn.example", "trimpathprefix": "/docker/registry/v2"}}
    client = serve(Bucket(), storage={"redirect": {}}, middleware={"storage": [rewrite]})
    digest = push_blob(client, "team/app", CONTENT)

    location = client.get(f"/v2/team/app/blobs/{digest}").headers["Location"]

    assert location == f"https://cdn.example/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data?signed=1"


@pytest.mark.parametrize(
    "sections",
    [
        {"storage": {"redirect": {"disable": True}}, "middleware": {"storage": [REDIRECT]}},
        {"middleware": {"storage": [REDIRECT | {"disabled": True}]}},
    ],
)
def test_with_redirects_or_the_middleware_off_the_registry_serves_the_content(
    serve: Serve, sections: dict[str, Any]
) -> None:
    client = serve(**sections)
    digest = push_blob(client, "team/app", CONTENT)

    response = client.get(f"/v2/team/app/blobs/{digest}")

    assert (response.status_code, response.data) == (200, CONTENT)


def test_a_client_near_the_bucket_is_known_by_the_address_that_the_proxy_tells(serve: Serve, tmp_path: Path) -> None:
    with serving_networks() as networks:
        options = {
            "baseurl": "https://cdn.example",
            "keypairid": "K",
            "privatekey": key_file(tmp_path),
            "ipfilteredby": "aws",
            "iprangesurl": networks.url,
        }
        client = serve(
            Bucket(), storage={"redirect": {}}, middleware={"storage": [{"name": "cloudfront", "options": options}]}
        )
        target = f"/v2/team/app/blobs/{push_blob(client, 'team/app', CONTENT)}"

        def sent_to(address: str) -> str:
            location = client.get(target, headers={"X-Forwarded-For": f"{address}, 10.0.0.1"}).headers["Location"]
            return location.split("/")[2]

        wait_until("a client near the bucket is sent to it", lambda: sent_to("192.0.2.1") == "bucket.example")
        assert sent_to("198.51.100.1") == "cdn.example"
        assert client.get(target).headers["Location"].startswith("https://cdn.example/docker/registry/v2/blobs/")


def test_a_wrong_option_stops_the_start(serve: Serve) -> None:
    with pytest.raises(PluginError, match=r"^middleware\.storage\[0\]\.options: baseurl: is missing$"):
        serve(storage={"redirect": {}}, middleware={"storage": [{"name": "redirect"}]})
