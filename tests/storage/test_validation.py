from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.foundation.patterns import Pattern
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import (
    DeniedError,
    ManifestBlobUnknownError,
    ManifestDependenciesError,
    ManifestInvalidError,
    RegistryError,
)
from registry.oci.manifest import parse_manifest
from registry.storage.repository import Repositories, Repository
from registry.storage.validation import ValidationPolicy
from tests.content import LAYER_TYPE, chunk, descriptor, docker_image, image, index
from tests.growth import grows_linearly

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NON_DISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
URL = "https://example.com/layer"
EVERY_URL = ValidationPolicy(allowed_urls=(Pattern.parse("."),))


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    """A repository with a config, a layer and an image of the two."""
    repository = Repositories(driver).open("a")
    for content in (b"{}", b"layer"):
        repository.uploads.finish(repository.uploads.start(), chunk(content), Digest.of(content))
    complete = image(b"{}", b"layer")
    repository.manifests.put(parse_manifest(complete), Digest.of(complete))
    return repository


def check(repository: Repository, content: bytes, policy: ValidationPolicy | None = None) -> None:
    (policy or ValidationPolicy()).check(parse_manifest(content), repository.blobs, repository.manifests)


def faults(repository: Repository, content: bytes, policy: ValidationPolicy | None = None) -> list[type[RegistryError]]:
    try:
        check(repository, content, policy)
    except ManifestDependenciesError as error:
        return [type(each) for each in error.errors]
    return []


def test_what_the_repository_has_may_be_named(repository: Repository) -> None:
    check(repository, image(b"{}", b"layer"))
    check(repository, docker_image(b"{}", b"layer"))
    check(repository, index(image(b"{}", b"layer")))


def test_each_thing_that_is_missing_is_named(repository: Repository) -> None:
    with pytest.raises(ManifestDependenciesError) as caught:
        check(repository, image(b"no config", b"layer", b"no layer"))

    assert [error.detail for error in caught.value.errors] == [
        str(Digest.of(b"no config")),
        str(Digest.of(b"no layer")),
    ]


def test_what_another_repository_has_is_missing_here(driver: InMemoryDriver, repository: Repository) -> None:
    other = Repositories(driver).open("other")

    assert faults(other, image(b"{}", b"layer")) == [ManifestBlobUnknownError] * 2
    assert faults(other, index(image(b"{}", b"layer"))) == [ManifestBlobUnknownError]
    assert faults(repository, image(b"{}", b"layer")) == []


def test_a_manifest_is_no_layer_and_a_layer_is_no_manifest(repository: Repository) -> None:
    stored = image(b"{}", b"layer")

    assert faults(repository, image(b"{}", stored)) == [ManifestBlobUnknownError]
    assert faults(repository, index(b"layer")) == [ManifestBlobUnknownError]


def test_a_build_cache_is_an_index_of_layers(repository: Repository) -> None:
    assert faults(repository, index(manifests=[descriptor(b"layer", LAYER_TYPE)])) == []
    assert faults(repository, index(manifests=[descriptor(b"no layer", LAYER_TYPE)])) == [ManifestBlobUnknownError]


def test_a_subject_need_not_exist(repository: Repository) -> None:
    check(repository, image(b"{}", subject=descriptor(b"none", media_types.OCI_MANIFEST)))


@pytest.mark.parametrize("media_type", [FOREIGN, NON_DISTRIBUTABLE])
def test_a_layer_that_clients_fetch_elsewhere_may_be_absent_if_it_says_where(
    repository: Repository,
    media_type: str,
) -> None:
    with_url = image(layers=[descriptor(b"elsewhere", media_type, urls=[URL])])
    without = image(layers=[descriptor(b"elsewhere", media_type)])

    assert faults(repository, with_url, EVERY_URL) == []
    assert faults(repository, without, EVERY_URL) == [ManifestBlobUnknownError]


def test_an_ordinary_layer_must_be_there_whatever_urls_it_has(repository: Repository) -> None:
    content = image(layers=[descriptor(b"elsewhere", LAYER_TYPE, urls=[URL])])

    assert faults(repository, content, EVERY_URL) == [ManifestBlobUnknownError]


@pytest.mark.parametrize(
    ("allowed", "denied", "accepted"),
    [
        ("", "", False),
        ("example", "", True),
        ("^https://other/", "", False),
        ("", "other", True),
        ("", "example", False),
        ("example", "layer$", False),
    ],
)
def test_urls_pass_as_the_configuration_says(repository: Repository, allowed: str, denied: str, accepted: bool) -> None:
    policy = ValidationPolicy(
        allowed_urls=(Pattern.parse(allowed),) if allowed else (),
        denied_urls=(Pattern.parse(denied),) if denied else (),
    )
    content = image(layers=[descriptor(b"layer", LAYER_TYPE, urls=[URL])])

    assert faults(repository, content, policy) == ([] if accepted else [ManifestInvalidError])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "layer",
        "/layer",
        "file:///etc/passwd",
        "ftp://x/y",
        "https://",
        "https://x/y#z",
        "https://[x/y",
        "//x",
        "\ud800",
        " https://x/y",
        "https://ex\nample.com/y",
        "ht\ttps://x/y",
        "https://x/\0",
        "https://x/" + "y" * 8183,
    ],
)
def test_what_is_no_url_of_a_layer_is_refused_under_every_policy(repository: Repository, url: str) -> None:
    content = image(layers=[descriptor(b"layer", LAYER_TYPE, urls=[url])])

    assert faults(repository, content, EVERY_URL) == [ManifestInvalidError]
    assert faults(repository, content, ValidationPolicy(enabled=False)) == [ManifestInvalidError]


def test_a_url_with_half_a_character_is_judged_like_any_other(repository: Repository) -> None:
    content = image(layers=[descriptor(b"layer", LAYER_TYPE, urls=[URL + "\ud800"])])

    assert faults(repository, content, EVERY_URL) == []
    assert faults(repository, content, ValidationPolicy(denied_urls=(Pattern.parse("layer.$"),))) == [
        ManifestInvalidError
    ]


@pytest.mark.parametrize("policy", [EVERY_URL, ValidationPolicy(enabled=False), ValidationPolicy(sparse=True)])
def test_the_layers_of_a_manifest_have_at_most_a_thousand_urls(
    repository: Repository, policy: ValidationPolicy
) -> None:
    layers = [descriptor(b"layer", LAYER_TYPE, urls=[URL] * 250)] * 4
    policy = replace(policy, allowed_urls=EVERY_URL.allowed_urls)

    assert faults(repository, image(layers=layers), policy) == []
    assert faults(repository, image(layers=[*layers, {**layers[0], "urls": [URL]}]), policy) == [ManifestInvalidError]


def test_a_longest_url_is_judged_in_time_that_does_not_depend_on_the_pattern(repository: Repository) -> None:
    policy = ValidationPolicy(allowed_urls=(Pattern.parse(r"^https?://([a-z]+\.?)+/z$"),))

    def judge(size: int) -> list[type[RegistryError]]:
        content = image(layers=[descriptor(b"layer", LAYER_TYPE, urls=["https://" + "a" * size + "/"])])
        return faults(repository, content, policy)

    assert judge(8000) == [ManifestInvalidError]
    assert grows_linearly(judge, lambda size: size, 1000)


def test_without_validation_urls_and_children_pass_and_layers_do_not(repository: Repository) -> None:
    policy = ValidationPolicy(enabled=False)

    assert faults(repository, image(layers=[descriptor(b"layer", LAYER_TYPE, urls=[URL])]), policy) == []
    assert faults(repository, index(b"no manifest"), policy) == []
    assert faults(repository, image(b"{}", b"no layer"), policy) == [ManifestBlobUnknownError]


def test_a_manifest_names_no_more_than_the_limit_and_every_url_counts(repository: Repository) -> None:
    layer = descriptor(b"layer", LAYER_TYPE, urls=[URL, URL])
    content = image(b"{}", layers=[layer, layer], subject=descriptor(b"subject"))
    policy = ValidationPolicy(enabled=False, sparse=True, reference_limit=8)

    check(repository, content, policy)
    check(repository, content, replace(policy, reference_limit=0))
    with pytest.raises(ManifestInvalidError, match="has 8 descriptors and URLs, 7 are allowed here"):
        check(repository, content, replace(policy, reference_limit=7))
    with pytest.raises(ManifestInvalidError, match=r"validation\.manifests\.referencelimit"):
        check(repository, index(*[b"child"] * 8), replace(policy, reference_limit=7))


def test_the_config_obeys_the_policy_of_urls_if_it_calls_itself_a_layer(repository: Repository) -> None:
    content = image(config=descriptor(b"{}", LAYER_TYPE, urls=[URL]))

    assert faults(repository, content) == [ManifestInvalidError]
    assert faults(repository, content, EVERY_URL) == []


def test_sparse_content_may_name_anything(repository: Repository) -> None:
    policy = ValidationPolicy(sparse=True)

    assert faults(repository, image(b"no config", b"no layer"), policy) == []
    assert faults(repository, index(b"no manifest"), policy) == []


def platform_index(*platforms: object) -> bytes:
    return index(
        manifests=[
            descriptor(json.dumps(each).encode(), media_types.OCI_MANIFEST, platform=each) for each in platforms
        ],
    )


@pytest.mark.parametrize(
    ("platform", "required"),
    [
        ({"architecture": "amd64", "os": "linux"}, True),
        ({"architecture": "amd64", "os": "linux", "variant": "v2"}, True),
        ({"architecture": "arm64", "os": "linux"}, False),
        ({"architecture": "amd64"}, False),
        ({}, False),
        (None, False),
        ({"architecture": None, "os": "linux"}, False),
        ({"architecture": "amd64", "os": "linux", "variant": None}, True),
    ],
    ids=repr,
)
def test_of_listed_platforms_the_manifests_must_be_there(
    repository: Repository,
    platform: object,
    required: bool,
) -> None:
    policy = ValidationPolicy(platforms="list", platform_list=frozenset({("amd64", "linux"), ("s390x", "linux")}))

    assert faults(repository, platform_index(platform), policy) == [ManifestBlobUnknownError] * required


def test_a_manifest_that_is_listed_for_several_platforms_must_be_there_if_one_of_them_is_listed(
    repository: Repository,
) -> None:
    policy = ValidationPolicy(platforms="list", platform_list=frozenset({("amd64", "linux")}))
    platforms = ({"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"})
    content = index(manifests=[descriptor(b"x", media_types.OCI_MANIFEST, platform=each) for each in platforms])

    assert faults(repository, content, policy) == [ManifestBlobUnknownError]


def test_of_no_platforms_none_and_of_an_empty_list_all_must_be_there(repository: Repository) -> None:
    content = platform_index({"architecture": "amd64", "os": "linux"}, {})

    assert faults(repository, content, ValidationPolicy(platforms="none")) == []
    assert faults(repository, content, ValidationPolicy(platforms="list")) == [ManifestBlobUnknownError] * 2


@pytest.mark.parametrize(
    ("config_type", "classes", "accepted"),
    [
        (media_types.OCI_CONFIG, {"image"}, True),
        (media_types.DOCKER_CONFIG, {"image", "plugin"}, True),
        (media_types.DOCKER_PLUGIN, {"image"}, False),
        (media_types.DOCKER_PLUGIN, {"plugin"}, True),
        ("application/vnd.example", {"image"}, False),
        ("application/vnd.example", set(), True),
    ],
)
def test_a_class_that_is_not_listed_is_denied(
    repository: Repository,
    config_type: str,
    classes: set[str],
    accepted: bool,
) -> None:
    content = image(config=descriptor(b"{}", config_type))
    policy = ValidationPolicy(classes=frozenset(classes))

    if accepted:
        check(repository, content, policy)
    else:
        with pytest.raises(DeniedError):
            check(repository, content, policy)


def test_an_index_has_no_class(repository: Repository) -> None:
    check(repository, index(), ValidationPolicy(classes=frozenset({"plugin"})))
