from __future__ import annotations

import re
import socket
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from drivers.base import PathNotFoundError
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE
from registry.storage import paths
from tests.content import ABSENT, descriptor, image, index
from tests.handlers.pushing import error_of, push_blob, push_image, push_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from tests.conftest import Serve

TAGS = ["0", "A", "a", "a-b", "a.b", "a_b", "ab", "latest"]
NAMES = ["a", "a/b", "a/b/c", "a-b", "a.b", "a_b", "ab"]
SUBJECT = image(b"{}")
SUBJECT_DIGEST = Digest.of(SUBJECT)
ABSURD = ["-1", "x", "1.5", "1e3", "0x10", " 1", "+1", "\u0661", "\0", "1\n", "%ff"]


def pages(client: FlaskClient, url: str) -> Iterator[dict[str, Any]]:
    """Follow the links from `url` and yield each document."""
    while url:
        response = client.get(url)
        assert response.status_code == 200
        assert response.json
        yield response.json
        link = response.headers.get("Link", "")
        match = re.fullmatch(r'<(/v2/[^>]*)>; rel="next"', link)
        assert bool(link) == bool(match)
        url = match[1] if match else ""


def links(client: FlaskClient, url: str) -> dict[str, list[str]]:
    """Return the query of the Link of `url`."""
    link = client.get(url).headers["Link"]
    return parse_qs(urlsplit(link[1 : link.index(">")]).query)


class TestTags:
    @pytest.fixture
    def client(self, client: FlaskClient) -> FlaskClient:
        push_image(client, "team/app", *reversed(TAGS))
        return client

    def test_all_are_listed_in_byte_order_unless_a_page_is_asked_for(self, client: FlaskClient) -> None:
        response = client.get("/v2/team/app/tags/list")

        assert response.json == {"name": "team/app", "tags": TAGS}
        assert response.headers["Content-Type"] == media_types.JSON
        assert "Link" not in response.headers

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 10**8])
    def test_pages_put_together_are_all(self, client: FlaskClient, size: int) -> None:
        found = [page["tags"] for page in pages(client, f"/v2/team/app/tags/list?n={size}")]

        assert list(chain.from_iterable(found)) == TAGS
        assert len(found) == -(-len(TAGS) // size)

    @pytest.mark.parametrize("last", ["", "a", "a-", "b", "zzz", "\0", "é", "../x", "a/b", "x" * 4000])
    def test_the_list_goes_on_after_what_need_not_exist(self, client: FlaskClient, last: str) -> None:
        for query in ({"last": last}, {"last": last, "n": "100"}):
            response = client.get("/v2/team/app/tags/list", query_string=query)

            assert response.json == {"name": "team/app", "tags": [tag for tag in TAGS if tag > last]}

    @pytest.mark.parametrize(("query", "tags"), [("", TAGS), ("?n=2", TAGS[:2]), ("?last=ab", TAGS[7:]), ("?n=0", [])])
    def test_a_list_has_the_bytes_of_the_go_registry_s(self, client: FlaskClient, query: str, tags: list[str]) -> None:
        response = client.get(f"/v2/team/app/tags/list{query}")

        listed = ",".join(f'"{tag}"' for tag in tags)
        assert response.text == f'{{"name":"team/app","tags":[{listed}]}}\n'
        assert response.content_length == len(response.data)

    def test_a_list_of_many_is_written_page_by_page(self, serve: Serve, client: FlaskClient) -> None:
        small = serve(tags={"maxtags": 3})

        response = small.get("/v2/team/app/tags/list")

        assert "Content-Length" not in response.headers
        assert response.data == client.get("/v2/team/app/tags/list").data

    def test_a_page_of_none_has_none(self, client: FlaskClient) -> None:
        response = client.get("/v2/team/app/tags/list?n=0")

        assert response.json == {"name": "team/app", "tags": []}
        assert "Link" not in response.headers

    def test_a_page_is_never_larger_than_the_configuration_allows(self, serve: Serve, client: FlaskClient) -> None:
        limited = serve(tags={"maxtags": 3})

        assert links(limited, "/v2/team/app/tags/list?n=1000") == {"last": ["a"], "n": ["3"]}
        assert links(limited, "/v2/team/app/tags/list?n=" + "9" * 4000) == {"last": ["a"], "n": ["3"]}
        assert limited.get("/v2/team/app/tags/list").json == client.get("/v2/team/app/tags/list").json

    @pytest.mark.parametrize("size", ABSURD)
    def test_a_size_that_is_none_is_400(self, client: FlaskClient, size: str) -> None:
        response = client.get("/v2/team/app/tags/list", query_string={"n": size})

        assert error_of(response) == (400, "PAGINATION_NUMBER_INVALID")

    def test_a_repository_that_is_not_there_is_404_and_one_without_tags_has_none(self, client: FlaskClient) -> None:
        digest = push_image(client, "untagged")

        assert error_of(client.get("/v2/team/tags/list")) == (404, "NAME_UNKNOWN")
        assert error_of(client.get("/v2/unknown/tags/list?last=a&n=1")) == (404, "NAME_UNKNOWN")
        assert client.get("/v2/untagged/tags/list").json == {"name": "untagged", "tags": []}
        client.delete(f"/v2/untagged/manifests/{digest}")
        assert error_of(client.get("/v2/untagged/tags/list")) == (404, "NAME_UNKNOWN")


class TestCatalog:
    @pytest.fixture
    def client(self, client: FlaskClient) -> FlaskClient:
        for name in reversed(NAMES):
            push_image(client, name, "latest")
        return client

    def test_repositories_are_listed_as_the_go_registry_does(self, client: FlaskClient) -> None:
        assert client.get("/v2/_catalog").json == {"repositories": ["a", "a/b", "a/b/c", "a-b", "a.b", "a_b", "ab"]}

    @pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 10**8])
    def test_pages_put_together_are_all(self, client: FlaskClient, size: int) -> None:
        found = [page["repositories"] for page in pages(client, f"/v2/_catalog?n={size}")]

        assert list(chain.from_iterable(found)) == NAMES
        assert len(found) == -(-len(NAMES) // size)

    def test_without_a_size_a_page_has_100(self, client: FlaskClient) -> None:
        for number in range(100):
            push_image(client, f"r{number:03}", "latest")

        assert links(client, "/v2/_catalog") == {"last": ["r092"], "n": ["100"]}

    def test_a_page_is_never_larger_than_the_configuration_allows(self, serve: Serve, client: FlaskClient) -> None:
        limited = serve(catalog={"maxentries": 2})

        for url in ("/v2/_catalog", "/v2/_catalog?n=3", "/v2/_catalog?n=" + "9" * 4000):
            assert links(limited, url) == {"last": ["a/b"], "n": ["2"]}
        assert client.get("/v2/_catalog?n=0").json == {"repositories": []}

    @pytest.mark.parametrize("size", ABSURD)
    def test_a_size_that_is_none_is_400(self, client: FlaskClient, size: str) -> None:
        response = client.get("/v2/_catalog", query_string={"n": size})

        assert error_of(response) == (400, "PAGINATION_NUMBER_INVALID")

    @pytest.mark.parametrize("last", ["\0", "..", "../..", "a/" * 3500, "_", "%ff", "é", "a//b", "x" * 7000])
    def test_no_place_to_go_on_from_is_an_error(self, client: FlaskClient, last: str) -> None:
        assert client.get("/v2/_catalog", query_string={"last": last}).status_code == 200

    @pytest.mark.parametrize(("query", "names"), [("", NAMES), ("?n=2", NAMES[:2]), ("?n=0", [])])
    def test_a_list_has_the_bytes_of_the_go_registry_s(self, client: FlaskClient, query: str, names: list[str]) -> None:
        response = client.get(f"/v2/_catalog{query}")

        listed = ",".join(f'"{name}"' for name in names)
        assert response.text == f'{{"repositories":[{listed}]}}\n'

    def test_a_registry_with_nothing_in_it_lists_nothing(self, serve: Serve) -> None:
        assert serve().get("/v2/_catalog").json == {"repositories": []}


class TestReferrers:
    URL = f"/v2/team/app/referrers/{SUBJECT_DIGEST}"

    @pytest.fixture
    def refer(self, client: FlaskClient) -> Callable[..., Digest]:
        push_blob(client, "team/app", b"{}")

        def push(note: str, algorithm: str = "sha256", **more: object) -> Digest:
            subject = descriptor(SUBJECT, media_types.OCI_MANIFEST)
            content = image(b"{}", subject=subject, annotations={"note": note}, **more)
            reference = str(Digest.of(content, algorithm))
            return push_manifest(client, "team/app", reference, content, content_type=media_types.OCI_MANIFEST)

        return push

    def test_what_nothing_refers_to_has_an_empty_list(self, client: FlaskClient) -> None:
        for name in ("team/app", "unknown"):
            response = client.get(f"/v2/{name}/referrers/{ABSENT}")

            assert response.headers["Content-Type"] == media_types.OCI_INDEX
            assert response.json == {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
            assert "OCI-Filters-Applied" not in response.headers

    def test_a_push_says_that_its_subject_was_understood(self, client: FlaskClient) -> None:
        push_blob(client, "team/app", b"{}")
        for content in (image(b"{}", subject=descriptor(SUBJECT)), index(subject=descriptor(SUBJECT))):
            response = client.put("/v2/team/app/manifests/signature", data=content)

            assert response.headers["OCI-Subject"] == str(SUBJECT_DIGEST)

    def test_a_referrer_is_described_as_the_specification_says(
        self,
        client: FlaskClient,
        refer: Callable[..., Digest],
    ) -> None:
        digest = refer("é", artifactType="application/x.sig")

        response = client.get(self.URL)

        assert response.json
        assert response.json["manifests"] == [
            {
                "mediaType": media_types.OCI_MANIFEST,
                "digest": str(digest),
                "size": len(client.get(f"/v2/team/app/manifests/{digest}").data),
                "artifactType": "application/x.sig",
                "annotations": {"note": "é"},
            },
        ]

    def test_a_filter_is_applied_and_said_to_be(self, client: FlaskClient, refer: Callable[..., Digest]) -> None:
        refer("1", artifactType="application/x.sig")
        wanted = refer("2", artifactType="application/x.sbom")
        plain = refer("3")

        for artifact_type, expected in (
            ("application/x.sbom", [str(wanted)]),
            (media_types.OCI_CONFIG, [str(plain)]),
            ("application/x.none", []),
            ("", []),
        ):
            response = client.get(self.URL, query_string={"artifactType": artifact_type})
            assert response.headers["OCI-Filters-Applied"] == "artifactType"
            assert response.json
            assert [each["digest"] for each in response.json["manifests"]] == expected

    @pytest.mark.parametrize("asked", ["application/x.sig+json", "application/x.sig%2Bjson"])
    def test_a_type_with_a_plus_is_found_whether_or_not_that_is_escaped_and_on_each_page(
        self, client: FlaskClient, refer: Callable[..., Digest], asked: str
    ) -> None:
        for number in range(3):
            refer(str(number), artifactType="application/x.other")
        wanted = sorted(str(refer(str(number), artifactType="application/x.sig+json")) for number in range(3))

        found = list(pages(client, f"{self.URL}?n=1&artifactType={asked}"))

        assert [each["digest"] for page in found for each in page["manifests"]] == wanted

    @pytest.mark.parametrize("query", ["n=1", "n=2&artifactType=application/x.sig", "n=6", "n=7", "n=0"])
    def test_pages_put_together_are_all(
        self,
        client: FlaskClient,
        refer: Callable[..., Digest],
        query: str,
    ) -> None:
        pushed = [
            str(refer(str(number), algorithm, artifactType="application/x.sig"))
            for algorithm in ("sha512", "sha256")
            for number in range(3)
        ]

        found = [page["manifests"] for page in pages(client, f"{self.URL}?{query}")]

        assert [each["digest"] for each in chain.from_iterable(found)] == sorted(pushed)

    def test_a_page_ends_before_it_is_larger_than_a_manifest_may_be(
        self,
        client: FlaskClient,
        refer: Callable[..., Digest],
    ) -> None:
        for number in range(4):
            refer(str(number) * 400_000)

        found = list(pages(client, self.URL))

        assert [len(page["manifests"]) for page in found] == [2, 2]

    def test_a_manifest_that_is_deleted_or_damaged_is_listed_no_more(
        self,
        client: FlaskClient,
        driver: StorageDriver,
        refer: Callable[..., Digest],
    ) -> None:
        deleted, gone, kept = refer("1"), refer("2"), refer("3")
        client.delete(f"/v2/team/app/manifests/{deleted}")
        driver.delete(paths.revision_link("team/app", gone))

        response = client.get(self.URL)

        assert response.json
        assert [each["digest"] for each in response.json["manifests"]] == [str(kept)]

    def test_a_manifest_is_not_read_for_it(
        self, client: FlaskClient, serve: Serve, driver: StorageDriver, refer: Callable[..., Digest]
    ) -> None:
        digest = refer("1", artifactType="application/x.sig")
        before = client.get(self.URL).json
        driver.put(paths.blob_data(digest), b"x" * MAX_SIZE)

        assert serve(driver).get(self.URL).json == before

    def test_an_entry_that_an_earlier_version_wrote_is_listed_and_completed(
        self, client: FlaskClient, driver: StorageDriver, refer: Callable[..., Digest]
    ) -> None:
        path = paths.referrer_descriptor("team/app", SUBJECT_DIGEST, refer("1", artifactType="application/x.sig"))
        before = client.get(self.URL).json
        driver.delete(path)

        assert client.get(self.URL).json == before
        assert driver.stat(path)

    def test_a_registry_in_maintenance_lists_such_an_entry_and_writes_nothing(
        self, client: FlaskClient, serve: Serve, driver: StorageDriver, refer: Callable[..., Digest]
    ) -> None:
        path = paths.referrer_descriptor("team/app", SUBJECT_DIGEST, refer("1"))
        before = client.get(self.URL).json
        driver.delete(path)
        maintained = serve(driver, storage={"maintenance": {"readonly": {"enabled": True}}})

        assert maintained.get(self.URL).json == before
        with pytest.raises(PathNotFoundError):
            driver.stat(path)

    def test_a_client_that_has_gone_costs_no_more_work_and_one_that_still_reads_can_go_on(
        self, client: FlaskClient, refer: Callable[..., Digest]
    ) -> None:
        digests = sorted(str(refer(str(number))) for number in range(40))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            here = {"gunicorn.socket": ours}
            assert len(client.get(self.URL, environ_overrides=here).json["manifests"]) == 40  # type: ignore[index]  # it has JSON
            theirs.shutdown(socket.SHUT_WR)
            response = client.get(self.URL, environ_overrides=here)

        assert response.json
        begun = [each["digest"] for each in response.json["manifests"]]
        assert 0 < len(begun) < 40
        match = re.fullmatch(r'<(/v2/[^>]*)>; rel="next"', response.headers["Link"])
        assert match
        rest = client.get(match[1]).json
        assert rest
        assert begun + [each["digest"] for each in rest["manifests"]] == digests

    @pytest.mark.parametrize("digest", ["latest", "sha256:abc", "md5:" + "0" * 32, "%00"])
    def test_the_subject_and_the_place_to_go_on_from_are_digests(self, client: FlaskClient, digest: str) -> None:
        assert error_of(client.get(f"/v2/team/app/referrers/{digest}")) == (400, "DIGEST_INVALID")
        assert error_of(client.get(f"{self.URL}?last={digest}")) == (400, "DIGEST_INVALID")
