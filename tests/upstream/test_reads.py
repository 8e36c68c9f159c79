from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import UpstreamFailedError
from registry.oci.manifest import MAX_SIZE
from tests.upstream.content import ABSENT, CONTENT, LATEST, NAME, image, there
from tests.upstreams import faults
from tests.upstreams.server import Answer

if TYPE_CHECKING:
    from registry.upstream.client import Upstream
    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault


def test_a_tag_is_found_without_its_manifest(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    assert upstream.find(NAME, LATEST) == upstream.find(NAME, digest) == digest
    assert [each.method for each in remote.asked] == ["HEAD", "HEAD"]


def test_a_manifest_comes_by_tag_and_by_digest(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    for reference in (LATEST, digest):
        found = upstream.manifest(NAME, reference)
        assert found
        assert (found.content, found.media_type, found.digest) == (image(), media_types.OCI_MANIFEST, digest)


def test_every_request_for_a_manifest_accepts_the_same(upstream: Upstream, remote: Registry) -> None:
    remote.put_manifest(NAME, image(), "latest")
    upstream.find(NAME, LATEST)
    upstream.manifest(NAME, LATEST)
    assert {each.headers["accept"] for each in remote.asked} == {", ".join(sorted(media_types.MANIFESTS))}


def test_what_is_not_there_is_none(upstream: Upstream) -> None:
    assert upstream.find(NAME, LATEST) is None
    assert upstream.manifest(NAME, ABSENT) is None
    assert upstream.blob_size(NAME, ABSENT) is None
    assert upstream.blob(NAME, ABSENT) is None
    assert upstream.tags(NAME, after="", limit=10) is None


@pytest.mark.parametrize(
    "fault", [faults.status(405), faults.status(501), faults.status(400), faults.anonymous, faults.html]
)
def test_a_tag_that_head_does_not_tell_is_found_by_its_content(
    upstream: Upstream, remote: Registry, fault: Fault
) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(fault, method="HEAD")
    assert upstream.find(NAME, LATEST) == digest


@pytest.mark.parametrize("told", ["sha256:short", "md5:" + "0" * 32, "<script>", "sha256:" + "A" * 64])
def test_what_is_not_a_digest_is_not_taken_for_one(upstream: Upstream, remote: Registry, told: str) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(faults.changed(lambda answer: answer.having(Docker_Content_Digest=told)))
    found = upstream.manifest(NAME, LATEST)
    assert found
    assert upstream.find(NAME, LATEST) == found.digest == digest


def test_a_sha512_digest_is_told_and_proven(upstream: Upstream, remote: Registry) -> None:
    remote.put_manifest(NAME, image(), "latest")
    digest = Digest.of(image(), "sha512")
    remote.misbehave(faults.changed(lambda answer: answer.having(Docker_Content_Digest=str(digest))))
    found = upstream.manifest(NAME, LATEST)
    assert found
    assert found.digest == digest


def schema1(_: Answer) -> Answer:
    content = json.dumps({"schemaVersion": 1, "name": NAME, "tag": "latest", "fsLayers": []}).encode()
    return Answer(200, content, {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"})


def test_a_manifest_of_schema_1_is_not_there(upstream: Upstream, remote: Registry) -> None:
    remote.misbehave(faults.changed(schema1))
    assert upstream.find(NAME, LATEST) is None
    assert upstream.manifest(NAME, LATEST) is None
    remote.behave()
    remote.misbehave(faults.changed(lambda answer: schema1(answer).lacking("Content-Type")))
    assert upstream.manifest(NAME, LATEST) is None


@pytest.mark.parametrize(
    "fault",
    [
        faults.wrong,
        faults.html,
        faults.empty,
        faults.gzip,
        faults.short(3),
        faults.reset(3),
        faults.reset(),
        faults.status(200, b"[]"),
        faults.status(200, b"x" * (MAX_SIZE + 1)),
        faults.status(204),
        faults.status(500),
        faults.status(304),
    ],
)
@pytest.mark.parametrize("by_digest", [True, False])
def test_what_is_not_the_manifest_is_a_failure(
    upstream: Upstream, remote: Registry, fault: Fault, *, by_digest: bool
) -> None:
    digest = remote.put_manifest(NAME, image(), "latest")
    remote.misbehave(fault, method="GET")
    with pytest.raises(UpstreamFailedError, match=r"^hub"):
        upstream.manifest(NAME, digest if by_digest else LATEST)


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", ""])
@pytest.mark.parametrize("content", [b"{}", b'{"error": "none today"}', b'{"schemaVersion": 2}'])
def test_what_nothing_shows_to_be_a_manifest_is_not_taken_for_what_a_tag_leads_to(
    upstream: Upstream, remote: Registry, content: bytes, media_type: str
) -> None:
    remote.misbehave(faults.status(200, content, Content_Type=media_type))
    with pytest.raises(UpstreamFailedError, match="not a manifest"):
        upstream.manifest(NAME, LATEST)
    with pytest.raises(UpstreamFailedError, match="not a manifest"):
        upstream.find(NAME, LATEST)


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", ""])
def test_a_manifest_may_have_any_type_on_its_way(upstream: Upstream, remote: Registry, media_type: str) -> None:
    digest = remote.put_manifest(NAME, image(), "latest", media_type=media_type)
    assert upstream.find(NAME, LATEST) == digest
    found = upstream.manifest(NAME, LATEST)
    assert found
    assert found.media_type == media_types.OCI_MANIFEST


def test_the_size_of_a_blob_is_told(upstream: Upstream, remote: Registry) -> None:
    assert upstream.blob_size(NAME, remote.put_blob(NAME, CONTENT)) == len(CONTENT)


@pytest.mark.parametrize("fault", [faults.chunked, faults.gzip, faults.html, faults.status(500)])
def test_a_blob_without_a_size_is_a_failure(upstream: Upstream, remote: Registry, fault: Fault) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(fault, method="HEAD")
    with pytest.raises(UpstreamFailedError, match=r"^hub"):
        upstream.blob_size(NAME, digest)


@pytest.mark.parametrize("fault", [faults.status(405), faults.status(501), faults.status(400)])
def test_a_size_that_head_does_not_tell_is_told_by_a_part(upstream: Upstream, remote: Registry, fault: Fault) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(fault, method="HEAD")
    assert upstream.blob_size(NAME, digest) == len(CONTENT)
    assert upstream.blob_size(NAME, ABSENT) is None
    assert [each.headers.get("range") for each in remote.asked if each.method == "GET"] == ["bytes=0-0"] * 2


def test_another_digest_than_was_asked_for_is_a_failure(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.changed(lambda answer: answer.having(Docker_Content_Digest=str(ABSENT))))
    for ask in (upstream.blob_size, upstream.blob):
        with pytest.raises(UpstreamFailedError, match="another blob"):
            ask(NAME, digest)


def test_a_page_does_not_show_that_a_manifest_is_there(upstream: Upstream, remote: Registry) -> None:
    remote.misbehave(faults.html)
    with pytest.raises(UpstreamFailedError):
        upstream.find(NAME, ABSENT)


def test_a_length_beside_chunks_does_not_count(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(lambda handler, answer: faults.chunked(handler, answer.having(Content_Length="7")))
    with there(upstream.blob(NAME, digest)) as stream:
        assert (stream.size, b"".join(stream)) == (None, CONTENT)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (7, None), (0, 7), (100, 400_000), (len(CONTENT) - 1, None), (5, len(CONTENT) + 9)]
)
def test_a_part_of_a_blob_comes_with_its_place(
    upstream: Upstream, remote: Registry, start: int, stop: int | None
) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    with there(upstream.blob(NAME, digest, start, stop)) as stream:
        assert b"".join(stream) == CONTENT[start:stop]
        assert (stream.start, stream.size) == (start, len(CONTENT))
    assert remote.asked[-1].headers["accept-encoding"] == "identity"


def test_all_of_a_blob_may_come_in_place_of_a_part(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.rangeless)
    with there(upstream.blob(NAME, digest, 100)) as stream:
        assert (stream.start, stream.size) == (0, len(CONTENT))
        assert b"".join(stream) == CONTENT


@pytest.mark.parametrize("fault", [faults.chunked, faults.unsized])
def test_a_blob_may_come_without_a_size(upstream: Upstream, remote: Registry, fault: Fault) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(fault)
    with there(upstream.blob(NAME, digest)) as stream:
        assert stream.size is None
        assert b"".join(stream) == CONTENT


@pytest.mark.parametrize("fault", [faults.short(3), faults.reset(70_000)])
def test_a_blob_that_breaks_off_is_a_failure(upstream: Upstream, remote: Registry, fault: Fault) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(fault)
    with there(upstream.blob(NAME, digest)) as stream, pytest.raises(UpstreamFailedError, match=r"^hub"):
        list(stream)


@pytest.mark.parametrize("told", ["bytes 0-9/99", "bytes 101-499999/500000", "bytes 100-99/500000", "", "bytes */1"])
def test_another_part_than_was_asked_for_is_a_failure(upstream: Upstream, remote: Registry, told: str) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.changed(lambda answer: answer.having(Content_Range=told)))
    with pytest.raises(UpstreamFailedError, match="part"):
        upstream.blob(NAME, digest, 100)


@pytest.mark.parametrize("fault", [faults.gzip, faults.html, faults.status(500), faults.status(204), faults.reset()])
def test_what_is_not_a_blob_is_a_failure(upstream: Upstream, remote: Registry, fault: Fault) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(fault)
    with pytest.raises(UpstreamFailedError, match=r"^hub"):
        upstream.blob(NAME, digest)


def test_what_comes_behind_the_end_of_a_blob_is_not_part_of_it(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    remote.misbehave(faults.extra, times=1)
    for _ in range(2):
        with there(upstream.blob(NAME, digest)) as stream:
            assert b"".join(stream) == CONTENT


def test_a_connection_is_used_for_one_request_after_the_other(upstream: Upstream, remote: Registry) -> None:
    digest = remote.put_blob(NAME, CONTENT)
    for _ in range(3):
        upstream.blob_size(NAME, digest)
        with there(upstream.blob(NAME, digest)) as stream:
            list(stream)
    assert len({each.port for each in remote.asked}) == 1
