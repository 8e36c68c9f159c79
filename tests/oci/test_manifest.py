from __future__ import annotations

import json

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import parse_manifest
from tests.content import ABSENT, LAYER_TYPE, descriptor, docker_image, image, index


def document(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_an_image_names_its_config_and_layers() -> None:
    manifest = parse_manifest(image(b"config", b"one", b"two"), media_types.OCI_MANIFEST)

    assert manifest.media_type == media_types.OCI_MANIFEST
    assert manifest.config
    assert manifest.config.digest == Digest.of(b"config")
    assert [layer.digest for layer in manifest.blobs] == [Digest.of(b"one"), Digest.of(b"two")]
    assert [layer.size for layer in manifest.blobs] == [3, 3]
    assert manifest.manifests == ()
    assert manifest.subject is None


def test_an_index_names_its_manifests() -> None:
    child = image()

    manifest = parse_manifest(index(child), media_types.OCI_INDEX)

    assert [each.digest for each in manifest.manifests] == [Digest.of(child)]
    assert manifest.config is None


def test_a_manifest_leads_to_its_config_its_blobs_and_its_manifests_and_not_to_its_subject() -> None:
    layer = descriptor(b"layer", LAYER_TYPE)
    child, artifact = descriptor(b"child", media_types.DOCKER_LIST), descriptor(b"artifact", media_types.OCI_ARTIFACT)
    everything = document(
        mediaType="application/x",
        config=descriptor(b"config"),
        layers=[layer, layer],
        blobs=[descriptor(b"blob")],
        manifests=[child, artifact, descriptor(b"cached layer", LAYER_TYPE)],
        subject=descriptor(b"subject", media_types.OCI_MANIFEST),
    )

    assert [(kind, each.digest) for kind, each in parse_manifest(everything).references()] == [
        ("config", Digest.of(b"config")),
        ("blob", Digest.of(b"layer")),
        ("blob", Digest.of(b"layer")),
        ("blob", Digest.of(b"blob")),
        ("manifest", Digest.of(b"child")),
        ("manifest", Digest.of(b"artifact")),
        ("entry", Digest.of(b"cached layer")),
    ]


@pytest.mark.parametrize("media_type", sorted(media_types.NON_DISTRIBUTABLE))
def test_only_a_layer_that_is_not_for_distribution_and_has_urls_may_be_absent(media_type: str) -> None:
    urls = ["https://example.com/layer"]
    layers = [
        descriptor(b"may be absent", media_type, urls=urls),
        descriptor(b"has no url", media_type),
        descriptor(b"is distributed", LAYER_TYPE, urls=urls),
    ]
    manifest = parse_manifest(image(config=descriptor(b"is no layer", media_type, urls=urls), layers=layers))

    assert [(kind, each.digest) for kind, each in manifest.references()] == [
        ("config", Digest.of(b"is no layer")),
        ("foreign", Digest.of(b"may be absent")),
        ("blob", Digest.of(b"has no url")),
        ("blob", Digest.of(b"is distributed")),
    ]


def test_a_docker_image_and_a_docker_list_are_read_alike() -> None:
    listed = document(
        schemaVersion=2,
        mediaType=media_types.DOCKER_LIST,
        manifests=[descriptor(b"x", media_types.DOCKER_MANIFEST, platform={"architecture": "arm64", "os": "linux"})],
    )

    assert parse_manifest(docker_image(b"{}", b"layer")).blobs[0].digest == Digest.of(b"layer")
    assert parse_manifest(listed).manifests[0].platform == {"architecture": "arm64", "os": "linux"}


def test_an_oci_artifact_manifest_names_its_blobs_and_its_type() -> None:
    manifest = parse_manifest(
        document(
            mediaType=media_types.OCI_ARTIFACT,
            artifactType="application/x.sbom",
            blobs=[descriptor(b"blob")],
            subject=descriptor(b"subject", media_types.OCI_MANIFEST),
        ),
    )

    assert manifest.blobs[0].digest == Digest.of(b"blob")
    assert manifest.artifact_type == "application/x.sbom"
    assert manifest.subject
    assert manifest.subject.digest == Digest.of(b"subject")


def test_without_a_media_type_the_content_decides_as_in_the_go_registry() -> None:
    config = descriptor(b"{}", media_types.OCI_CONFIG)

    assert parse_manifest(document(schemaVersion=2, config=config)).media_type == media_types.OCI_MANIFEST
    assert parse_manifest(document(schemaVersion=2, manifests=[])).media_type == media_types.OCI_INDEX


def test_an_unknown_media_type_passes_and_keeps_its_references() -> None:
    manifest = parse_manifest(document(mediaType="application/x", layers=[descriptor(b"layer")]), "application/x")

    assert manifest.media_type == "application/x"
    assert manifest.blobs[0].digest == Digest.of(b"layer")


def test_media_types_are_compared_in_any_case() -> None:
    manifest = parse_manifest(document(mediaType="application/vnd.Example+json"), "application/vnd.example+json")

    assert manifest.media_type == "application/vnd.Example+json"


@pytest.mark.parametrize(
    ("document", "declared"),
    [
        *[({"schemaVersion": 1, "fsLayers": []}, declared) for declared in sorted(media_types.SCHEMA1)],
        *[({"schemaVersion": 1}, declared) for declared in ("application/json", media_types.OCI_MANIFEST, None)],
        ({"schemaVersion": 1}, min(media_types.SCHEMA1).upper()),
        ({"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST}, min(media_types.SCHEMA1)),
        ({"mediaType": min(media_types.SCHEMA1)}, media_types.OCI_MANIFEST),
    ],
)
def test_schema_1_is_refused_by_name_whatever_it_is_pushed_as(
    document: dict[str, object], declared: str | None
) -> None:
    with pytest.raises(ManifestInvalidError, match="schema 1 manifests are not supported"):
        parse_manifest(json.dumps(document).encode(), declared)


@pytest.mark.parametrize("media_type", sorted(media_types.SCHEMA1))
def test_schema_1_is_refused_with_advice(media_type: str) -> None:
    with pytest.raises(ManifestInvalidError, match="schema 1 manifests are not supported"):
        parse_manifest(document(schemaVersion=1, mediaType=media_type), media_type)


@pytest.mark.parametrize(
    "declared",
    [media_types.OCI_INDEX, media_types.DOCKER_MANIFEST, "application/json", "text/plain", "x" * 1000],
)
def test_a_manifest_pushed_as_something_else_is_refused(declared: str) -> None:
    with pytest.raises(ManifestInvalidError, match="but was pushed with Content-Type"):
        parse_manifest(image(), declared)


@pytest.mark.parametrize("declared", [media_types.DOCKER_MANIFEST, media_types.DOCKER_LIST])
def test_docker_types_must_be_stated_in_the_document(declared: str) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(document(schemaVersion=2, config=descriptor(b"{}")), declared)


@pytest.mark.parametrize(
    "content",
    [
        image(manifests=[]),
        docker_image(manifests=[descriptor(b"x")]),
        index(config=descriptor(b"{}")),
        index(layers=[]),
    ],
)
def test_a_document_that_is_two_things_at_once_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestInvalidError, match="must not have"):
        parse_manifest(content)


@pytest.mark.parametrize("version", [1, 3, 0, None, "2", [2], {}])
def test_only_schema_version_2_is_an_image_or_an_index(version: object) -> None:
    for content in (image(schemaVersion=version), index(schemaVersion=version)):
        with pytest.raises(ManifestInvalidError, match="schemaVersion"):
            parse_manifest(content)


def test_an_image_has_a_config() -> None:
    with pytest.raises(ManifestInvalidError, match="no config"):
        parse_manifest(image(config=None))


def test_an_empty_index_is_one() -> None:
    assert parse_manifest(index()).manifests == ()


class TestAsAReferrer:
    def test_an_image_is_listed_with_the_type_of_its_config_unless_it_states_one(self) -> None:
        plain, stated = parse_manifest(image()), parse_manifest(image(artifactType="application/x.sig"))

        assert plain.listed_as(ABSENT)["artifactType"] == media_types.OCI_CONFIG
        assert stated.listed_as(ABSENT)["artifactType"] == "application/x.sig"

    def test_an_index_is_listed_with_the_type_it_states_or_none(self) -> None:
        plain, stated = parse_manifest(index()), parse_manifest(index(artifactType="application/x.sig"))

        assert "artifactType" not in plain.listed_as(ABSENT)
        assert stated.listed_as(ABSENT)["artifactType"] == "application/x.sig"

    def test_the_descriptor_is_that_of_the_manifest_with_its_annotations(self) -> None:
        content = image(annotations={"org.example": "é\ud800"})

        listed = parse_manifest(content).listed_as(Digest.of(content))

        assert listed == {
            "mediaType": media_types.OCI_MANIFEST,
            "digest": str(Digest.of(content)),
            "size": len(content),
            "artifactType": media_types.OCI_CONFIG,
            "annotations": {"org.example": "é\ud800"},
        }

    def test_what_has_no_annotations_is_listed_without_any(self) -> None:
        assert "annotations" not in parse_manifest(image(annotations={})).listed_as(ABSENT)


def test_a_layer_keeps_its_urls() -> None:
    layer = descriptor(b"x", LAYER_TYPE, urls=["https://example.com/layer"])

    assert parse_manifest(image(layers=[layer])).blobs[0].urls == ("https://example.com/layer",)
