from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.browsing.manifest import CHART_CONFIG, details
from registry.browsing.shapes import Config
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.links import write_link
from tests.archive.images import blob, image, manifest

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver
    from registry.browsing.images import Images
    from registry.browsing.shapes import Details
    from registry.storage.repository import Repositories, Repository

CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "arm64",
    "variant": "v8",
    "created": "2024-05-06T07:08:09Z",
    "author": "somebody",
    "config": {
        "User": "1000:1000",
        "Env": ["PATH=/usr/bin", "LANG=C"],
        "Entrypoint": ["/entry", "--flag"],
        "Cmd": ["run"],
        "WorkingDir": "/srv",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "Labels": {"org.opencontainers.image.version": "1.2"},
        "StopSignal": "SIGQUIT",
    },
    "history": [
        {"created_by": "ADD rootfs.tar / # buildkit"},
        {"created_by": 'CMD ["run"]', "empty_layer": True},
        {"created_by": "RUN /bin/sh -c make # buildkit"},
    ],
}


@pytest.fixture
def app(repositories: Repositories) -> Repository:
    return repositories.open("app")


def push(repository: Repository, config: object, **more: Any) -> Digest:
    """Push an image of two layers with such a config, tagged ``v1``."""
    described = blob(repository, json.dumps(config).encode(), media_types.OCI_CONFIG)
    layers = [blob(repository, b"1" * 100), blob(repository, b"2" * 200)]
    document = {"mediaType": media_types.OCI_MANIFEST, "config": described, "layers": layers, **more}
    digest = Digest.parse(manifest(repository, document)["digest"])
    repository.tags.point(Tag("v1"), digest)
    return digest


def shown(images: Images, reference: Tag | Digest | None = None) -> Details:
    found = details(images, "app", reference or Tag("v1"))
    assert found
    return found


def test_an_image_has_its_config_history_and_layers(images: Images, app: Repository) -> None:
    digest = push(app, CONFIG, annotations={"a": "b"})
    found = shown(images)
    assert (found.kind, found.digest, found.tag, found.repository) == ("image", digest, "v1", "app")
    assert found.pushed == app.tags.pushed(Tag("v1"))
    assert found.config == Config(
        os="linux",
        architecture="arm64/v8",
        created="2024-05-06T07:08:09Z",
        author="somebody",
        user="1000:1000",
        working_directory="/srv",
        entrypoint=("/entry", "--flag"),
        command=("run",),
        environment=("PATH=/usr/bin", "LANG=C"),
        ports=("80/tcp", "53/udp"),
        volumes=("/data",),
        stop_signal="SIGQUIT",
    )
    assert [(step.instruction, step.layer and step.layer.size) for step in found.steps] == [
        ("ADD rootfs.tar /", 100),
        ('CMD ["run"]', None),
        ("RUN make", 200),
    ]
    assert [layer.size for layer in found.layers] == [100, 200]
    assert found.labels == {"org.opencontainers.image.version": "1.2"}
    assert found.annotations == {"a": "b"}
    assert json.loads(found.raw_config) == CONFIG
    assert json.loads(found.raw) == json.loads(app.manifests.get(digest).content)
    assert not found.cut


def test_a_manifest_has_the_size_of_all_that_a_client_pulls(images: Images, app: Repository) -> None:
    digest = push(app, CONFIG)
    content = app.manifests.get(digest).content
    found = shown(images)
    assert found.size == len(content)
    assert found.total == len(content) + len(json.dumps(CONFIG)) + 300


def test_a_manifest_is_shown_by_its_digest_without_a_tag(images: Images, app: Repository) -> None:
    digest = push(app, CONFIG)
    found = shown(images, digest)
    assert (found.digest, found.tag, found.pushed) == (digest, "", None)


def test_what_is_not_there_is_nothing(images: Images, app: Repository) -> None:
    digest = push(app, CONFIG)
    assert details(images, "app", Tag("v2")) is None
    assert details(images, "app", Digest.of(b"")) is None
    assert details(images, "other", digest) is None
    app.manifests.forget(digest)
    assert details(images, "app", Tag("v1")) is None


def test_an_index_has_variants_and_says_which_are_attestations_and_which_are_missing(
    images: Images, app: Repository
) -> None:
    amd64 = image(app, blob(app, b"amd64")) | {"platform": {"os": "linux", "architecture": "amd64"}}
    attestation = image(app, blob(app, b"attestation")) | {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    absent = {**amd64, "digest": str(Digest.of(b"absent")), "platform": {"os": "linux", "architecture": "s390x"}}
    document = {"mediaType": media_types.OCI_INDEX, "manifests": [amd64, attestation, absent]}
    digest = Digest.parse(manifest(app, document)["digest"])
    found = shown(images, digest)
    assert (found.kind, found.config, found.steps) == ("index", None, ())
    assert [(each.platform, each.is_attestation, each.is_here) for each in found.variants] == [
        ("linux/amd64", False, True),
        ("", True, True),
        ("linux/s390x", False, False),
    ]


def test_an_artifact_has_parts_with_titles(images: Images, app: Repository) -> None:
    part = blob(app, b"text", "text/plain") | {"annotations": {"org.opencontainers.image.title": "notes.txt"}}
    digest = Digest.parse(image(app, part, artifactType="application/x.notes")["digest"])
    found = shown(images, digest)
    assert (found.kind, found.artifact_type, found.steps) == ("artifact", "application/x.notes", ())
    assert [(layer.title, layer.media_type) for layer in found.layers] == [("notes.txt", "text/plain")]


def test_a_signature_that_is_pushed_as_an_image_is_an_artifact(images: Images, app: Repository) -> None:
    part = blob(app, b"{}", "application/vnd.dev.cosign.simplesigning.v1+json")
    assert shown(images, Digest.parse(image(app, part)["digest"])).kind == "artifact"


def test_a_chart_is_told_by_its_config(images: Images, app: Repository) -> None:
    config = blob(app, b'{"name": "nginx"}', CHART_CONFIG)
    document = {"mediaType": media_types.OCI_MANIFEST, "config": config, "layers": [blob(app, b"tgz")]}
    found = shown(images, Digest.parse(manifest(app, document)["digest"]))
    assert (found.kind, found.config, json.loads(found.raw_config)) == ("chart", None, {"name": "nginx"})


def test_a_subject_is_named(images: Images, app: Repository) -> None:
    digest = push(app, CONFIG)
    subject = {"mediaType": media_types.OCI_MANIFEST, "digest": str(digest), "size": 1}
    found = shown(images, Digest.parse(image(app, subject=subject)["digest"]))
    assert found.subject == digest


@pytest.mark.parametrize(
    "content", [b'{"schemaVersion": 1, "name": "a", "fsLayers": []}', b"no JSON \x1b[31m \xff", b"[1]"]
)
def test_what_cannot_be_read_is_shown_as_it_is(images: Images, driver: InMemoryDriver, content: bytes) -> None:
    digest = Digest.of(content)
    driver.put(paths.blob_data(digest), content)
    write_link(driver, paths.revision_link("app", digest), digest)
    found = details(images, "app", digest)
    if found is None:  # a registry does not serve what is not an object
        assert not content.startswith(b"{")
        return
    assert (found.kind, found.total, found.layers) == ("unreadable", None, ())
    assert json.loads(found.raw) == json.loads(content)


def test_a_config_that_is_missing_leaves_the_layers(images: Images, app: Repository) -> None:
    digest = push(app, CONFIG)
    config = app.manifests.get(digest).config
    assert config
    app.blobs.delete(config.digest)
    found = shown(images)
    assert (found.kind, found.config, found.raw_config) == ("image", Config(), "")
    assert [step.layer for step in found.steps] == list(found.layers)


def test_a_long_list_is_cut_and_the_page_says_so(images: Images, app: Repository) -> None:
    push(app, {"config": {"Env": [f"A{number}=1" for number in range(2000)]}})
    found = shown(images)
    assert found.config
    assert len(found.config.environment) == 1000
    assert found.cut
