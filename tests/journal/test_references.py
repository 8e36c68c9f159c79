from __future__ import annotations

import json

import pytest

from registry.journal.references import references_of
from registry.oci import media_types
from registry.oci.manifest import Manifest

DIGEST = f"sha256:{1:064x}"
PLAIN = {"mediaType": "a/b", "digest": DIGEST, "size": 5}


def named_in(media_type: str = media_types.OCI_MANIFEST, **document: object) -> list[str]:
    content = json.dumps({"mediaType": media_type, **document}).encode()
    return [json.dumps(each) for each in references_of(Manifest(content, media_type))]


def test_config_comes_before_layers_and_each_is_named_as_often_as_it_stands_there() -> None:
    layers = [{**PLAIN, "size": size} for size in (1, 2, 1)]
    assert named_in(layers=layers, config=PLAIN) == [json.dumps(each) for each in (PLAIN, *layers)]


def test_members_have_the_order_of_the_go_registry_and_those_it_does_not_know_are_left_out() -> None:
    known = {
        **PLAIN,
        "urls": ["https://example.com"],
        "annotations": {"a": "1", "b": ""},
        "data": "e30=",
        "platform": {"architecture": "arm", "os": "linux", "os.version": "1", "os.features": ["f"], "variant": "v7"},
        "artifactType": "c/d",
    }
    platform = {"features": ["sse4"], **dict(reversed(known["platform"].items()))}  # type: ignore[attr-defined]
    pushed = {"unknown": 1, **dict(reversed(known.items())), "platform": platform, "annotations": {"b": None, "a": "1"}}
    assert named_in(config=pushed) == [json.dumps(known)]


def test_empty_members_are_left_out_but_for_the_first_three_and_the_platform() -> None:
    empty = {"urls": [], "annotations": {}, "data": "", "artifactType": "", "platform": {}}
    described = {**PLAIN, "platform": {"architecture": "", "os": ""}}
    assert named_in(config={**PLAIN, **empty}) == [json.dumps(described)]
    assert named_in(config=dict.fromkeys((*PLAIN, *empty))) == ['{"mediaType": "", "digest": "", "size": 0}']


def test_keys_are_found_in_any_case_as_the_go_registry_finds_them() -> None:
    spelled = {key.upper(): value for key, value in PLAIN.items()}
    assert named_in(CONFIG=spelled, Layers=[spelled]) == [json.dumps(PLAIN)] * 2


@pytest.mark.parametrize(
    ("media_type", "more"),
    [(media_types.DOCKER_LIST, {"platform": {"architecture": "", "os": ""}}), (media_types.OCI_INDEX, {})],
)
def test_each_image_of_a_docker_list_has_a_platform(media_type: str, more: dict[str, object]) -> None:
    assert named_in(media_type, manifests=[PLAIN]) == [json.dumps({**PLAIN, **more})]
    assert named_in(media_type, manifests=[]) == named_in(media_type, manifests=None) == []
