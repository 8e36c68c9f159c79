"""What is attached to images is found where tools put it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.browsing.attached import Attachments, Summaries, attestations, bill_of
from registry.browsing.compare import Change, Place, compared
from registry.browsing.documents import attachment
from registry.browsing.readme import LONGEST, readme_of, readme_of_repository
from registry.browsing.untrusted import MOST_VALUES
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.reference import Tag
from registry.storage import paths
from tests.browsing import attached
from tests.browsing.attached import encoded, statement
from tests.browsing.test_chart import packed
from tests.content import LAYER_TYPE, descriptor, image
from tests.handlers.pushing import push_blob, push_manifest

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from drivers.inmemory import InMemoryDriver
    from registry.browsing.images import Images

EMPTY = "application/vnd.oci.empty.v1+json"
IN_TOTO = "application/vnd.in-toto+json"


def push(client: FlaskClient, *parts: dict[str, Any], tag: str = "", **more: object) -> Digest:
    """Push an artifact of `parts`, each a descriptor's fields and the bytes that it has as "content"."""
    push_blob(client, "app", b"{}")
    layers = []
    for part in parts:
        content = part.pop("content")
        push_blob(client, "app", content)
        layers.append(descriptor(content, part.pop("type"), **part))
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(b"{}", EMPTY),
        "layers": layers,
        **more,
    }
    content = encoded(document)
    return push_manifest(client, "app", tag or str(Digest.of(content)), content, content_type=media_types.OCI_MANIFEST)


def push_image(
    client: FlaskClient, config: dict[str, Any], *layers: bytes, tag: str = "", name: str = "app"
) -> tuple[Digest, bytes]:
    content = encoded(config)
    for blob in (content, *layers):
        push_blob(client, name, blob)
    manifest = image(content, *layers)
    reference = tag or str(Digest.of(manifest))
    return push_manifest(client, name, reference, manifest, content_type=media_types.OCI_MANIFEST), manifest


def in_toto(predicate_type: str, predicate: object) -> dict[str, Any]:
    return {
        "content": encoded(statement(predicate_type, predicate)),
        "type": IN_TOTO,
        "annotations": {"in-toto.io/predicate-type": predicate_type},
    }


def push_index(client: FlaskClient, tag: str, *versions: tuple[str, str]) -> Digest:
    """Push an index as BuildKit does: for each architecture an image, and an attestation with zlib's version."""
    entries: list[dict[str, Any]] = []
    attested: list[dict[str, Any]] = []
    for architecture, version in versions:
        config = {"os": "linux", "architecture": architecture, "config": {"Env": [f"ZLIB={version}"]}}
        digest, manifest = push_image(client, config, b"base", version.encode())
        platform = {"os": "linux", "architecture": architecture}
        entries.append(descriptor(manifest, media_types.OCI_MANIFEST, platform=platform))
        bill = {**attached.SPDX_2, "packages": [{"name": "zlib", "versionInfo": version}]}
        parts = (
            in_toto("https://spdx.dev/Document", bill),
            in_toto("https://slsa.dev/provenance/v0.2", attached.BUILDKIT_PROVENANCE),
        )
        attestation = push(client, *parts)
        annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(digest)}
        content = client.get(f"/v2/app/manifests/{attestation}").data
        unknown = {"os": "unknown", "architecture": "unknown"}
        attested.append(
            descriptor(content, media_types.OCI_MANIFEST, platform=unknown, annotations=annotations),
        )
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries + attested}
    return push_manifest(client, "app", tag, encoded(document), content_type=media_types.OCI_INDEX)


def refer_to(digest: Digest) -> dict[str, Any]:
    return {"mediaType": media_types.OCI_MANIFEST, "digest": str(digest), "size": 1}


def test_an_attestation_of_a_build_tells_each_of_its_parts(client: FlaskClient, images: Images) -> None:
    push_index(client, "v1", ("amd64", "1.3"))
    index = images.source.target("app", "v1")
    assert index is not None

    (digest,) = attestations(images.source, "app", index)
    found = attachment(images.source, "app", digest)

    assert found is not None
    assert [part.document.kind for part in found.parts] == ["sbom", "provenance"]
    (summary,) = Summaries().of(images.source, "app", [digest])
    assert (summary.kinds, summary.packages, summary.source) == (("sbom", "provenance"), 1, "https://git.example/app")


def test_the_signatures_of_one_payload_are_told_apart_by_the_annotations_of_their_layers(
    client: FlaskClient, images: Images
) -> None:
    signers = ("one@example.org", "two@example.org")
    parts = [
        {
            "content": encoded(attached.simple_signing()),
            "type": "application/vnd.dev.cosign.simplesigning.v1+json",
            "annotations": {
                "dev.cosignproject.cosign/signature": "c2ln",
                "dev.sigstore.cosign/certificate": attached.pem(
                    attached.certificate(signer, "https://accounts.example")
                ),
            },
        }
        for signer in signers
    ]
    found = attachment(images.source, "app", push(client, *parts))

    assert found is not None
    assert tuple(part.document.signature and part.document.signature.signer for part in found.parts) == signers


def test_what_has_no_room_to_be_read_is_said_and_the_rest_is_read(client: FlaskClient, images: Images) -> None:
    large = {"content": encoded({**attached.SPDX_2, "comment": "x" * 5000}), "type": "application/spdx+json"}
    digest = push(client, large, {"content": encoded(attached.TRIVY), "type": "application/json"})
    found = attachment(images.source, "app", digest, 2000)

    assert found is not None
    assert [(part.document.kind, part.document.problem) for part in found.parts] == [
        ("sbom", "is too large to be explained here"),
        ("vulnerabilities", ""),
    ]


def test_the_values_in_all_parts_count_together(client: FlaskClient, images: Images) -> None:
    many = {"content": b"[" + b"0," * (MOST_VALUES // 2) + b"0]", "type": "application/json"}
    more = {"content": b"[0," + b"1," * (MOST_VALUES // 2) + b"0]", "type": "application/json"}
    found = attachment(images.source, "app", push(client, many, more))

    assert found is not None
    assert [part.document.problem.partition(",")[0] for part in found.parts] == [
        "",
        "has more values than are read of one attachment",
    ]


def test_an_attachment_is_read_once_and_told_while_it_is_there(client: FlaskClient, images: Images) -> None:
    digest = push(client, {"content": encoded(attached.GRYPE), "type": "application/json"})
    attachments = Attachments()
    first = attachments.get(images.source, "app", digest)

    assert first is not None
    assert attachments.get(images.source, "app", digest) is first
    assert attachments.get(images.source, "other", digest) is None
    client.delete(f"/v2/app/manifests/{digest}")
    assert attachments.get(images.source, "app", digest) is None


def test_an_attachment_of_which_a_part_was_gone_is_read_again(
    client: FlaskClient, images: Images, driver: InMemoryDriver
) -> None:
    digest = push(client, {"content": encoded(attached.GRYPE), "type": "application/json"})
    path = paths.blob_data(Digest.of(encoded(attached.GRYPE)))
    driver.delete(path)
    attachments = Attachments()
    first = attachments.get(images.source, "app", digest)
    driver.put(path, encoded(attached.GRYPE))
    again = attachments.get(images.source, "app", digest)

    assert first is not None
    assert again is not None
    assert [each.parts[0].document.kind for each in (first, again)] == ["other", "vulnerabilities"]


def test_a_part_that_is_gone_is_said(client: FlaskClient, images: Images, driver: InMemoryDriver) -> None:
    digest = push(client, {"content": encoded(attached.SPDX_2), "type": "application/spdx+json"})
    driver.delete(paths.blob_data(Digest.of(encoded(attached.SPDX_2))))
    found = attachment(images.source, "app", digest)

    assert found is not None
    assert found.parts[0].document.problem.startswith("is not here")


def test_what_is_not_a_manifest_here_has_nothing_attached(images: Images) -> None:
    assert attachment(images.source, "app", Digest.of(b"absent")) is None
    assert Summaries().of(images.source, "app", [Digest.of(b"absent")]) == []


def test_a_summary_is_read_once(client: FlaskClient, images: Images, driver: InMemoryDriver) -> None:
    digest = push(client, {"content": encoded(attached.GRYPE), "type": "application/json"})
    summaries = Summaries()
    first = summaries.of(images.source, "app", [digest])
    driver.delete(paths.blob_data(Digest.of(encoded(attached.GRYPE))))

    assert first[0].severities == {"low": 1, "negligible": 1}
    assert summaries.of(images.source, "app", [digest]) == first


@pytest.mark.parametrize("way", ["referrer", "referrer of no known type", "tag of cosign"])
def test_a_bill_of_materials_is_found_where_tools_put_it(client: FlaskClient, images: Images, way: str) -> None:
    digest, _ = push_image(client, {}, b"layer", tag="v1")
    part = {"content": encoded(attached.SPDX_2), "type": "application/json"}
    if way == "tag of cosign":
        push(client, part, tag=f"sha256-{digest.hex}.sbom")
    else:
        kind = "application/spdx+json" if way == "referrer" else "application/vnd.example"
        push(client, part, subject=refer_to(digest), artifactType=kind)
    bill = bill_of(images.source, "app", digest)

    assert bill is not None
    assert len(bill.packages) == 2


def test_an_image_without_a_bill_has_none(client: FlaskClient, images: Images) -> None:
    digest, _ = push_image(client, {}, b"layer")
    push(client, {"content": b"x", "type": "text/plain"}, subject=refer_to(digest), artifactType="text/plain")

    assert bill_of(images.source, "app", digest) is None


def test_two_indexes_are_compared_by_a_platform_that_both_have(client: FlaskClient, images: Images) -> None:
    push_index(client, "v1", ("amd64", "1.3"), ("arm64", "1.3-arm"), ("s390x", "1"))
    push_index(client, "v2", ("amd64", "1.4"), ("arm64", "1.4-arm"))
    places = Place("app", Tag("v1")), Place("app", Tag("v2"))

    first, chosen = compared(images, *places), compared(images, *places, "linux/arm64")

    assert (first.platform, first.platforms, first.only_before) == (
        "linux/amd64",
        ("linux/amd64", "linux/arm64"),
        ("linux/s390x",),
    )
    assert [len(each) for each in (first.layers.base, first.layers.removed, first.layers.added)] == [1, 1, 1]
    assert first.environment == (Change("ZLIB", "1.3", "1.4"),)
    assert chosen.packages is not None
    assert chosen.packages.changes == (Change("zlib", "1.3-arm", "1.4-arm"),)


def test_an_index_is_compared_with_an_image_by_the_platform_of_that(client: FlaskClient, images: Images) -> None:
    push_index(client, "v1", ("amd64", "1.3"), ("arm64", "1.3-arm"))
    push_image(client, {"os": "linux", "architecture": "arm64"}, b"base", tag="own")
    found = compared(images, Place("app", Tag("v1")), Place("app", Tag("own")))

    assert found.before.config is not None
    assert found.before.config.architecture == "arm64"


def test_what_is_not_there_is_not_compared(client: FlaskClient, images: Images) -> None:
    push_image(client, {}, tag="v1")

    with pytest.raises(ManifestUnknownError):
        compared(images, Place("app", Tag("v1")), Place("app", Tag("v2")))


def _markdown(text: str) -> dict[str, Any]:
    return {"content": text.encode(), "type": "text/markdown"}


def test_the_readme_of_a_repository_is_that_of_its_tag_readme_before_that_of_latest_and_the_newest(
    client: FlaskClient, images: Images
) -> None:
    source = images.source
    assert readme_of_repository(source, "app", "v1") is None

    found = []
    for tag in ("v1", "latest", "readme"):
        digest = push(client, _markdown(f"# {tag}"), tag=tag)
        readme = readme_of_repository(source, "app", "v1")
        assert readme is not None
        found.append((readme.text, readme.manifest == digest))

    assert found == [("# v1", True), ("# latest", True), ("# readme", True)]


def test_the_readme_of_an_image_is_what_refers_to_it_as_markdown(client: FlaskClient, images: Images) -> None:
    digest, _ = push_image(client, {}, b"layer", tag="latest")
    push(client, _markdown("no"), subject=refer_to(digest), artifactType="application/vnd.example")
    push(client, _markdown("# Yes"), subject=refer_to(digest), artifactType="text/markdown")
    found = readme_of_repository(images.source, "app")

    assert found is not None
    assert found.text == "# Yes"


def test_a_file_that_is_called_readme_is_one(client: FlaskClient, images: Images) -> None:
    part = {
        "content": b"# Named",
        "type": "application/octet-stream",
        "annotations": {"org.opencontainers.image.title": "README.md"},
    }
    found = readme_of(images.source, "app", push(client, part))

    assert found is not None
    assert found.text == "# Named"


def test_the_readme_of_a_chart_is_the_file_in_it(client: FlaskClient, images: Images) -> None:
    chart = {
        "content": packed({"app/Chart.yaml": b"name: app", "app/README.md": b"# Chart"}),
        "type": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    }
    found = readme_of_repository(images.source, "app", "1.0.0") or readme_of(images.source, "app", push(client, chart))

    assert found is not None
    assert found.text == "# Chart"


def test_a_long_readme_is_cut_and_layers_of_images_are_not_looked_into(client: FlaskClient, images: Images) -> None:
    long = readme_of(images.source, "app", push(client, _markdown("x" * (LONGEST + 1))))
    digest, _ = push_image(client, {}, packed({"app/README.md": b"# Layer"}))

    assert long is not None
    assert (len(long.text), long.cut) == (LONGEST, True)
    assert readme_of(images.source, "app", digest) is None
    assert json.loads(client.get(f"/v2/app/manifests/{digest}").data)["layers"][0]["mediaType"] == LAYER_TYPE
