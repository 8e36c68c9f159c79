from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import parse_manifest
from tests.content import descriptor, image

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "blobs", "manifests", "subject", "artifactType", "annotations"],
)
DESCRIPTOR_FIELDS = st.sampled_from(["mediaType", "digest", "size", "urls", "platform"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'""',
        b"2",
        b"true",
        b"{",
        b"{}}",
        b"{},",
        b"{'a': 1}",
        b"\0",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"mediaType": "application/x"}',
        '{"mediaType": "application/x"}'.encode("utf-16"),
        '{"mediaType": "application/x"}'.encode("utf-32-le"),
        b'{"mediaType": "application/x", "a": NaN}',
        b'{"mediaType": "application/x", "a": -Infinity}',
        b"[" * 4_000_000,
        b'{"a":' * 800_000,
        b'{"a":' + b"9" * 4_000_000 + b"}",
    ],
    ids=lambda content: repr(content[:16]),
)
def test_what_is_not_one_json_object_in_utf_8_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(content)


@pytest.mark.parametrize(
    "media_type",
    [
        *[2, True, [], {}, ["application/x"], 1.5],
        *["x", "a/b/c", "a/", "/b", " a/b", "a/b ", "a/b; c=d", "a/b\n", "a/b\r\nSet-Cookie: c", "a/b\0"],
        *["a/ü", "\ud800/b", "a/" + "b" * 128],
    ],
)
def test_a_media_type_that_is_none_is_refused(media_type: object) -> None:
    # It is sent as the Content-Type of the manifest, to whoever pulls it.
    with pytest.raises(ManifestInvalidError):
        parse_manifest(json.dumps({"mediaType": media_type}).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": None},
        {"digest": 5},
        {"digest": ""},
        {"digest": "sha256:abc"},
        {"digest": "md5:d41d8cd98f00b204e9800998ecf8427e"},
        {"digest": "../../../etc/passwd"},
        {"digest": "\ud800"},
        {"mediaType": 5},
        {"size": "5"},
        {"size": -1},
        {"size": 1.0},
        {"size": 1e400},
        {"size": True},
        {"size": None},
        {"size": [1]},
        {"urls": "https://example.com"},
        {"urls": [1]},
        {"urls": {"a": 1}},
        {"platform": "linux/amd64"},
        {"platform": [1]},
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["config", "layers", "blobs", "subject"])
def test_a_malformed_descriptor_is_refused_and_named(fields: dict[str, object], place: str) -> None:
    malformed = {**descriptor(b"x"), **fields}
    value = [malformed] if place in {"layers", "blobs"} else malformed

    with pytest.raises(ManifestInvalidError) as caught:
        parse_manifest(image(**{place: value}).replace(b"Infinity", b"1e400"))

    assert caught.value.message.startswith(place)


@pytest.mark.parametrize("value", [0, 1, "x", "", {}, {"digest": "x"}, True, [1], [None], ["x"], [[]]], ids=repr)
@pytest.mark.parametrize("place", ["layers", "blobs"])
def test_a_list_of_descriptors_is_nothing_else(place: str, value: object) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(image(**{place: value}))


@pytest.mark.parametrize(
    "fields",
    [
        {"artifactType": 5},
        {"annotations": [1]},
        {"annotations": {"a": 1}},
        {"annotations": {"a": None}},
        {"annotations": "a"},
    ],
    ids=repr,
)
def test_an_artifact_type_is_text_and_annotations_map_text_to_text(fields: dict[str, object]) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(image(**fields))


def test_of_equal_keys_the_last_one_counts_as_in_the_go_registry() -> None:
    content = b'{"mediaType": "application/x", "mediaType": "application/y"}'

    assert parse_manifest(content).media_type == "application/y"


def test_many_descriptors_are_no_difficulty() -> None:
    layers = [descriptor(b"x")] * 20_000

    assert len(parse_manifest(image(layers=layers)).blobs) == 20_000


@given(st.binary())
def test_no_bytes_make_it_stumble(content: bytes) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(content)


@given(st.dictionaries(FIELDS, JSON))
def test_no_json_makes_it_stumble(fields: dict[str, object]) -> None:
    try:
        manifest = parse_manifest(json.dumps({"mediaType": "application/x", **fields}).encode())
    except ManifestInvalidError:
        return

    assert manifest.media_type


@given(FIELDS, st.dictionaries(DESCRIPTOR_FIELDS, JSON), st.booleans())
def test_no_descriptor_makes_it_stumble(place: str, fields: dict[str, object], listed: bool) -> None:
    described = {**descriptor(b"x"), **fields}
    content = json.dumps({"mediaType": "application/x", place: [described] if listed else described}).encode()
    try:
        manifest = parse_manifest(content)
    except ManifestInvalidError:
        return

    assert all(each.size >= 0 for each in (*manifest.blobs, *manifest.manifests))
