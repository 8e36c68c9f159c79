from __future__ import annotations

import inspect

import pytest

from drivers.base import checked_path
from registry.oci.digest import Digest
from registry.storage import paths

SHA256 = Digest.of(b"")
SHA512 = Digest.of(b"", "sha512")
HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HEX512 = (
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)
ID = "5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"
BLOBS = "/docker/registry/v2/blobs"
TEAM_APP = "/docker/registry/v2/repositories/team/app"

WRITTEN_BY_THE_GO_REGISTRY = {
    paths.blob_data(SHA256): f"{BLOBS}/sha256/e3/{HEX}/data",
    paths.blob_data(SHA512): f"{BLOBS}/sha512/cf/{HEX512}/data",
    paths.repository("team/app"): TEAM_APP,
    paths.all_layers("team/app"): f"{TEAM_APP}/_layers",
    paths.layers("team/app", "sha256"): f"{TEAM_APP}/_layers/sha256",
    paths.layer_link("team/app", SHA256): f"{TEAM_APP}/_layers/sha256/{HEX}/link",
    paths.layer_link("team/app", SHA512): f"{TEAM_APP}/_layers/sha512/{HEX512}/link",
    paths.manifests("team/app"): f"{TEAM_APP}/_manifests",
    paths.revisions("team/app", "sha256"): f"{TEAM_APP}/_manifests/revisions/sha256",
    paths.revision_link("team/app", SHA256): f"{TEAM_APP}/_manifests/revisions/sha256/{HEX}/link",
    paths.tags("team/app"): f"{TEAM_APP}/_manifests/tags",
    paths.tag_directory("team/app", "v1.0"): f"{TEAM_APP}/_manifests/tags/v1.0",
    paths.tag_link("team/app", "v1.0"): f"{TEAM_APP}/_manifests/tags/v1.0/current/link",
    paths.tag_history("team/app", "v1.0", "sha256"): f"{TEAM_APP}/_manifests/tags/v1.0/index/sha256",
    paths.tag_history_link("team/app", "v1.0", SHA256): f"{TEAM_APP}/_manifests/tags/v1.0/index/sha256/{HEX}/link",
    paths.uploads("team/app"): f"{TEAM_APP}/_uploads",
    paths.upload_directory("team/app", ID): f"{TEAM_APP}/_uploads/{ID}",
    paths.upload_data("team/app", ID): f"{TEAM_APP}/_uploads/{ID}/data",
    paths.upload_started_at("team/app", ID): f"{TEAM_APP}/_uploads/{ID}/startedat",
}
OUR_OWN = {
    paths.cluster_member("host-1"): "/registry/cluster/host-1",
    paths.copy_data(SHA256): f"/docker/registry/v2/copies/sha256/{HEX}/data",
    paths.upload_verified("team/app", ID): f"{TEAM_APP}/_uploads/{ID}/verified",
    paths.all_referrers("team/app"): f"{TEAM_APP}/_referrers",
    paths.referrers("team/app", SHA512): f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}",
    paths.referrer_link("team/app", SHA512, SHA256): (
        f"{TEAM_APP}/_referrers/subjects/sha512/{HEX512}/sha256/{HEX}/link"
    ),
}


@pytest.mark.parametrize(("path", "golden"), [*WRITTEN_BY_THE_GO_REGISTRY.items(), *OUR_OWN.items()])
def test_every_path_is_where_the_go_registry_keeps_it_or_does_not_look(path: str, golden: str) -> None:
    assert path == golden
    assert checked_path(path) == path


def test_every_function_that_spells_a_path_is_in_the_list() -> None:
    spelled = {name for name, _ in inspect.getmembers(paths, inspect.isfunction)}

    assert spelled <= {
        *{"all_layers", "all_referrers", "layers", "tag_history"},
        *{"blob_data", "repository", "layer_link", "manifests", "revisions", "revision_link"},
        *{"tags", "tag_directory", "tag_link", "tag_history_link", "uploads", "upload_directory", "upload_data"},
        *{"cluster_member", "copy_data", "upload_started_at", "upload_verified", "referrers", "referrer_link"},
    }
