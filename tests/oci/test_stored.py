from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import MAX_SIZE, Descriptor, parse_manifest
from registry.oci.stored import read_stored, stored_media_type
from tests.content import LAYER_TYPE, descriptor, image, index
from tests.growth import grows_linearly

NAMED = {letter: Digest.of(letter.encode()) for letter in "abcde"}


def described(letter: str, **more: Any) -> str:
    return json.dumps({**descriptor(letter.encode(), LAYER_TYPE), **more})


def led_to(members: str) -> list[str]:
    """Return the letters that a stored image with these members leads to, besides its config."""
    content = image()[:-1] + f", {members}}}".encode()
    found = [digest for _, each in read_stored(content).references() for digest in [each.digest]]
    return [letter for letter, digest in NAMED.items() if digest in found]


def test_what_may_be_pushed_is_read_as_it_was_pushed() -> None:
    for content in (image(b"{}", b"layer", annotations={"a": "b"}), index(image())):
        assert read_stored(content) == parse_manifest(content)


def test_of_equal_keys_the_last_one_counts_as_in_the_go_registry() -> None:
    content = b'{"mediaType": "application/x", "mediaType": "application/y"}'

    assert read_stored(content).media_type == "application/y"


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (f'"layers": [{described("a")}], "layers": []', "a"),
        (f'"layers": [{described("a")}], "Layers": [{described("b")}]', "ab"),
        (f'"LAYERS": [{described("a")}], "layers": null', "a"),
        (f'"layers": [{described("a")[:-1]}, "digest": "{NAMED["b"]}"}}]', "ab"),
        (f'"layers": [{{"DIGEST": "{NAMED["a"]}"}}, null, {{}}, {{"digest": null}}]', "a"),
        (f'"layers": [{described("a", size=-1)}, {described("b", mediaType=None)}]', "ab"),
        (f'"config": {described("a")}, "config": {{"dige\\u017ft": "{NAMED["b"]}"}}', "ab"),
        (f'"layers": [{described("a")}], "manifests": [{described("b")}], "blobs": [{described("c")}]', "abc"),
        (f'"manifests": {described("a")}, "layers": {{"0": [{described("b")}]}}', "ab"),
        (f'"layers": [{described("a", annotations={"digest": "x"})}], "annotations": {{"a": null}}', "a"),
        (f'"unknown": {{"nested": [{described("a")}]}}, "size": null, "subject": {described("b")}, "Subject": 5', "a"),
    ],
)
def test_a_manifest_leads_to_what_any_client_finds_named(members: str, found: str) -> None:
    assert led_to(members) == list(found)


def test_what_go_finds_last_is_a_layer_and_the_rest_may_be_anything() -> None:
    content = image()[:-1] + f', "layers": [{described("a")}], "Layers": [{described("b")}]}}'.encode()

    assert [(kind, each.digest) for kind, each in read_stored(content).references()] == [
        ("config", Digest.of(b"{}")),
        ("blob", NAMED["b"]),
        ("entry", NAMED["a"]),
    ]


def test_go_reads_a_second_object_or_list_into_what_it_has() -> None:
    members = f'"config": {described("a")}, "Config": {{"size": 7, "mediaType": null}}, "layers": [{described("b")}], '
    content = f'{{"schemaVersion": 2, {members} "Layers": [{{"urls": ["u", null]}}, {described("c")}]}}'.encode()

    manifest = read_stored(content)

    assert manifest.config == Descriptor(LAYER_TYPE, NAMED["a"], 7)
    assert manifest.blobs == (
        Descriptor(LAYER_TYPE, NAMED["b"], 1, ("u", "")),
        Descriptor(LAYER_TYPE, NAMED["c"], 1),
    )
    assert manifest.others == ()


def test_every_subject_that_a_client_may_find_is_one() -> None:
    content = (
        image(annotations={"a": None})[:-1] + f', "subject": {described("a")}, "SUBJECT": {described("b")}}}'.encode()
    )

    manifest = read_stored(content)

    assert manifest.subject
    assert [each.digest for each in manifest.subjects] == [NAMED["b"], NAMED["a"]]
    assert led_to(f'"subject": {described("a")}, "SUBJECT": null') == []


def test_each_byte_that_is_not_utf_8_is_replaced_as_go_replaces_it() -> None:
    content = image(annotations={"a": "X", "b": None}).replace(b"X", b"\xe2\x82\xe9 \xed\xa0\x80 \xf0\x9f\x98\x80")

    assert read_stored(content).annotations == {"a": "\ufffd" * 3 + " " + "\ufffd" * 3 + " \U0001f600", "b": ""}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"5", b'"a"', b"{", b'{"a": NaN}', b"\xff", b'{"a": 1} x'),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_001, b'{"a":"' + b'\\"[' * 100_000),
    ],
    ids=lambda content: repr(content[:16]),
)
def test_what_is_not_a_json_object_is_not_a_manifest(content: bytes) -> None:
    with pytest.raises(ManifestInvalidError):
        read_stored(content)
    with pytest.raises(ManifestInvalidError):
        stored_media_type(content)


def test_schema_1_is_served_and_what_it_names_is_not_known() -> None:
    content = b'{"schemaVersion": 1, "fsLayers": [{"blobSum": "sha256:%b"}]}' % (b"0" * 64)

    assert stored_media_type(content) == "application/vnd.docker.distribution.manifest.v1+prettyjws"
    with pytest.raises(ManifestInvalidError, match="schema 1"):
        read_stored(content)
    assert stored_media_type(b'{"schemaVersion": 1, "mediaType": "application/x"}') == "application/x"


@pytest.mark.parametrize(
    "deep",
    [b"[" * 9000 + b"]" * 9000, b'{"[\\"":' * 9000 + b"0" + b"}" * 9000, b'[{"}]":' * 4000 + b"[]" + b"}]" * 4000],
    ids=lambda deep: repr(deep[:8]),
)
def test_what_is_nested_as_deeply_as_go_reads_it_is_no_difficulty(deep: bytes) -> None:
    # A key twice: what could be pushed is read as it was pushed, and newer Pythons read what is nested so deeply.
    repeated = b'"annotations": {}, "Annotations": {}'
    content = image()[:-1] + b', "a": %b, "b": [%b, {"digest": "%b"}], "size": -1, %b}' % (
        deep,
        deep,
        str(NAMED["a"]).encode(),
        repeated,
    )

    manifest = read_stored(content)

    assert manifest.config
    assert [each.digest for each in manifest.others] == [NAMED["a"]]
    assert stored_media_type(content) == media_types.OCI_MANIFEST


@pytest.mark.parametrize("key", ["annotations", "config", "layers"])
@pytest.mark.parametrize("value", ['{"":""}', '[{"":0}]', "[[[]]]"])
def test_a_key_that_is_given_thousands_of_times_costs_no_more_than_as_many_keys(key: str, value: str) -> None:
    def make(count: int) -> bytes:
        return image()[:-1] + f', "{key}": {value}'.encode() * count + b"}"

    assert read_stored(make(2)).media_type == media_types.OCI_MANIFEST
    assert grows_linearly(read_stored, make)


@pytest.mark.parametrize("item", [b"[]", b"{}", b'{"":0}', b"9" * 4000, b'"\\u0041"'], ids=lambda item: repr(item[:8]))
def test_the_densest_document_takes_memory_in_proportion(item: bytes) -> None:
    size = MAX_SIZE // 16
    count = size // (len(item) + 1)
    content = image()[:-1] + b', "size": -1, "a": [%b]}' % b",".join([item] * count)

    tracemalloc.start()
    assert stored_media_type(content) == media_types.OCI_MANIFEST
    assert read_stored(content).config
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 60 * size
