from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.browsing.referrers import attached_as, references
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.links import write_link
from tests.archive.images import blob, image, manifest

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver
    from registry.browsing.images import Images
    from registry.browsing.shapes import Reference
    from registry.storage.repository import Repositories, Repository
    from tests.archive.images import Descriptor

NOTARY = "application/vnd.cncf.notary.signature"
SPDX = "application/spdx+json"
ANY = "application/x.any"


@pytest.fixture
def app(repositories: Repositories) -> Repository:
    return repositories.open("app")


@pytest.fixture
def subject(app: Repository) -> Descriptor:
    return image(app, blob(app, b"layer"))


def refer(repository: Repository, subject: Descriptor, artifact_type: str = ANY, content: bytes = b"") -> Descriptor:
    return image(repository, blob(repository, content), subject=subject, artifactType=artifact_type)


def digest_of(descriptor: Descriptor) -> Digest:
    return Digest.parse(descriptor["digest"])


def roots(images: Images, subject: Descriptor, depth: int = 3, limit: int = 100) -> tuple[Reference, ...]:
    return references(images.source, "app", digest_of(subject), depth, limit).roots


def test_referrers_are_told_with_what_they_are_about(images: Images, app: Repository, subject: Descriptor) -> None:
    signature, bill = refer(app, subject, NOTARY), refer(app, subject, SPDX)
    found = {each.digest: (each.kind, each.artifact_type) for each in roots(images, subject)}
    assert found == {digest_of(signature): ("signature", NOTARY), digest_of(bill): ("sbom", SPDX)}


def test_what_refers_to_a_referrer_is_nested_in_it(images: Images, app: Repository, subject: Descriptor) -> None:
    bill = refer(app, subject, SPDX)
    signature = refer(app, bill, NOTARY)
    (found,) = roots(images, subject)
    assert [each.digest for each in found.nested] == [digest_of(signature)]
    (found,) = roots(images, subject, depth=1)
    assert found.nested == ()


def test_there_are_none_of_what_nobody_refers_to(images: Images, subject: Descriptor) -> None:
    found = references(images.source, "app", digest_of(subject))
    assert (found.roots, found.cut) == ((), False)
    assert references(images.source, "none", digest_of(subject)).roots == ()


@pytest.mark.parametrize(("limit", "cut"), [(2, True), (3, False), (100, False)])
def test_there_are_no_more_than_asked_for_and_it_is_said_if_there_are(
    images: Images, app: Repository, subject: Descriptor, limit: int, cut: bool
) -> None:
    for number in range(3):
        refer(app, subject, content=b"%d" % number)
    found = references(images.source, "app", digest_of(subject), limit=limit)
    assert (len(found.roots), found.cut) == (min(limit, 3), cut)


def test_signatures_of_cosign_are_found_by_their_tags(images: Images, app: Repository, subject: Descriptor) -> None:
    attestation = blob(app, b"dsse", "application/vnd.dsse.envelope.v1+json")
    attestation["annotations"] = {"predicateType": "https://slsa.dev/provenance/v0.2"}
    tags = {}
    for suffix, layer in ((".sig", blob(app, b"signature")), (".sbom", blob(app, b"sbom")), (".att", attestation)):
        tag = subject["digest"].replace(":", "-") + suffix
        tags[tag] = digest_of(image(app, layer))
        app.tags.point(Tag(tag), tags[tag])
    found = roots(images, subject)
    assert {each.tag: each.digest for each in found} == tags
    assert {each.tag.rpartition(".")[2]: each.kind for each in found} == {
        "sig": "signature",
        "sbom": "sbom",
        "att": "provenance",
    }


def test_an_attestation_that_does_not_say_what_it_is_about_is_something_else(
    images: Images, app: Repository, subject: Descriptor
) -> None:
    app.tags.point(Tag(subject["digest"].replace(":", "-") + ".att"), digest_of(image(app, blob(app, b"x"))))
    assert [each.kind for each in roots(images, subject)] == ["other"]


def test_a_list_under_the_tag_of_the_schema_is_read_and_what_is_not_here_is_left_out(
    images: Images, app: Repository, subject: Descriptor
) -> None:
    listed = image(app, blob(app, b"listed")) | {"artifactType": SPDX, "annotations": {"a": "b"}}
    absent = listed | {"digest": str(Digest.of(b"absent"))}
    index = manifest(app, {"mediaType": media_types.OCI_INDEX, "manifests": [listed, absent]})
    app.tags.point(Tag(subject["digest"].replace(":", "-")), digest_of(index))
    (found,) = roots(images, subject)
    assert (found.digest, found.kind, found.annotations, found.tag) == (digest_of(listed), "sbom", {"a": "b"}, "")


def test_a_referrer_that_is_listed_in_two_ways_is_there_once(
    images: Images, app: Repository, subject: Descriptor
) -> None:
    signature = refer(app, subject, NOTARY)
    index = manifest(app, {"mediaType": media_types.OCI_INDEX, "manifests": [signature]})
    for suffix, target in (("", index), (".sig", signature)):
        app.tags.point(Tag(subject["digest"].replace(":", "-") + suffix), digest_of(target))
    assert [each.digest for each in roots(images, subject)] == [digest_of(signature)]


def test_manifests_that_refer_to_each_other_do_not_go_on_for_ever(
    images: Images, app: Repository, subject: Descriptor, driver: InMemoryDriver
) -> None:
    # No manifest can name itself, but what another program writes into the index of referrers may say so.
    first, second = digest_of(refer(app, subject)), digest_of(subject)
    write_link(driver, paths.referrer_link("app", first, second), second)
    (found,) = roots(images, subject, depth=50)
    assert (found.digest, found.nested) == (first, ())


@pytest.mark.parametrize(
    ("artifact_type", "annotations", "kind"),
    [
        ("application/vnd.dev.cosign.artifact.sig.v1+json", {}, "signature"),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", {}, "signature"),
        (
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            {"dev.sigstore.bundle.predicateType": "https://spdx.dev/Document"},
            "sbom",
        ),
        ("application/vnd.in-toto+json", {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}, "provenance"),
        ("application/vnd.in-toto+json", {}, "other"),
        ("application/vnd.cyclonedx+json", {}, "sbom"),
        ("application/sarif+json", {}, "vulnerabilities"),
        ("", {"predicateType": "https://cosign.sigstore.dev/attestation/vuln/v1"}, "vulnerabilities"),
        ("text/markdown", {}, "readme"),
        ("application/vnd.oci.image.config.v1+json", {}, "other"),
        ("", {}, "other"),
    ],
)
def test_what_is_attached_is_guessed_from_types_and_predicates(
    artifact_type: str, annotations: dict[str, str], kind: str
) -> None:
    assert attached_as(artifact_type, annotations) == kind
