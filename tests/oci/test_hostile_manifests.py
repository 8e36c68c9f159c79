from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.documents import MAX_VALUES
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import MAX_SIZE, Descriptor, parse_manifest
from tests.content import LAYER_TYPE, descriptor, image, index

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
        {"size": [1]},
        {"urls": "https://example.com"},
        {"urls": [1]},
        {"urls": {"a": 1}},
        {"platform": "linux/amd64"},
        {"platform": [1]},
        *({"platform": {name: 5}} for name in ("os", "architecture", "variant", "OS.Version", "os.features")),
        {"platform": {"os": ["linux"]}},
        *({"platform": {name: "x"}} for name in ("os.features", "Features")),
        *({"platform": {name: [5]}} for name in ("os.features", "Features")),
        *({"data": text} for text in ("YQ", "YQ=", "Y===", "YQ==YQ==", "YWJj=", "YWJj====", "Y-_=", " YQ==", "=", "ü")),
        {"data": [89, 81]},
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
        {"annotations": {"a": [None]}},
        {"annotations": "a"},
    ],
    ids=repr,
)
def test_an_artifact_type_is_text_and_annotations_map_text_to_text(fields: dict[str, object]) -> None:
    with pytest.raises(ManifestInvalidError):
        parse_manifest(image(**fields))


DESCRIBED = json.dumps(descriptor(b"x")).encode()
"""A descriptor, which ends in a brace."""


@pytest.mark.parametrize(
    "content",
    [
        b'{"mediaType": "application/x", "mediaType": "application/y"}',
        b'{"mediaType": "application/x", "mediaType": "application/x"}',
        b'{"mediaType": "application/x", "mediatype": "application/x"}',
        b'{"mediaType": "application/x", "layers": [], "Layers": [%b]}' % DESCRIBED,
        b'{"mediaType": "application/x", "layers": null, "LAYERS": null}',
        b'{"mediaType": "application/x", "layers": [], "\\u004cayers": [%b]}' % DESCRIBED,
        '{"mediaType": "application/x", "blobs": [], "blob\u017f": []}'.encode(),
        b'{"mediaType": "application/x", "annotations": {"a": "b", "a": "c"}}',
        b'{"mediaType": "application/x", "subject": %b, "Digest": "sha256:0"}}' % DESCRIBED[:-1],
        b'{"mediaType": "application/x", "layers": [%b, "size": 5}]}' % DESCRIBED[:-1],
        b'{"mediaType": "application/x", "blobs": [%b, "urls": [], "URLs": []}]}' % DESCRIBED[:-1],
        b'{"mediaType": "application/x", "manifests": [%b, "platform": {"os": "a", "OS": "b"}}]}' % DESCRIBED[:-1],
        b'{"mediaType": "application/x", "config": %b, "annotations": {"a": "", "a": ""}}}' % DESCRIBED[:-1],
    ],
)
def test_what_clients_read_is_not_given_twice_whatever_the_case_of_its_keys(content: bytes) -> None:
    with pytest.raises(ManifestInvalidError, match="more than once"):
        parse_manifest(content)


@pytest.mark.parametrize(
    "more",
    [
        b'"unknown": 1, "unknown": 2',
        b'"unknown": {"digest": 1, "digest": 2, "Digest": 3}',
        b'"annotations": {"a": "b", "A": "c"}',
        b'"layers ": [], "layer": [], "l\xc3\xa4yers": []',
        '"con\ufb01g": 5, "mani\ufb01ests": 5, "dige\ufb06": 5'.encode(),
    ],
)
def test_what_no_client_reads_may_be_given_twice(more: bytes) -> None:
    assert parse_manifest(b'{"mediaType": "application/x", "layers": [], %b}' % more).media_type == "application/x"


def test_keys_are_matched_in_any_case_as_clients_written_in_go_match_them() -> None:
    child = {"MediaType": LAYER_TYPE, "DIGEST": descriptor(b"x")["digest"], "\u017fize": 5, "Url\u017f": ["https://a/"]}
    content = json.dumps(
        {"SCHEMAVERSION": 2, "mediatype": media_types.OCI_MANIFEST, "Config": child, "LAYERS": [child]},
        ensure_ascii=False,
    ).encode()

    manifest = parse_manifest(content)

    assert manifest.config == Descriptor(LAYER_TYPE, Digest.of(b"x"), 5, ("https://a/",))
    assert manifest.blobs == (manifest.config,)


def test_a_platform_is_matched_in_any_case() -> None:
    listed = descriptor(b"x", platform={"OS": "linux", "Architecture": "arm64"})

    assert parse_manifest(index(manifests=[listed])).manifests[0].platform == {"os": "linux", "architecture": "arm64"}


@pytest.mark.parametrize("key", ["mediaType", "artifactType", "layers", "blobs", "manifests", "subject", "annotations"])
def test_null_is_not_given(key: str) -> None:
    with_null = parse_manifest(image(**{key: None}), media_types.OCI_MANIFEST)

    without = {name: value for name, value in json.loads(image()).items() if name != key}
    assert replace(with_null, content=b"") == replace(parse_manifest(json.dumps(without).encode()), content=b"")


@pytest.mark.parametrize("key", ["mediaType", "urls", "platform", "annotations", "artifactType", "data"])
def test_null_in_a_descriptor_is_not_given(key: str) -> None:
    plain = {name: value for name, value in descriptor(b"x").items() if name != key}

    with_null, without = (parse_manifest(image(config=config)) for config in ({**plain, key: None}, plain))

    assert with_null.config == without.config


def test_a_size_that_is_null_is_a_size_that_is_missing() -> None:
    described = descriptor(b"x")
    del described["size"]

    with_null, without = (parse_manifest(image(config=each)) for each in ({**described, "size": None}, described))

    assert with_null.config == without.config


def test_null_in_annotations_and_urls_is_empty_text() -> None:
    described = descriptor(b"x", annotations={"a": None}, urls=["https://a/", None])

    manifest = parse_manifest(image(config=described, annotations={"a": None, "b": "c"}))

    assert manifest.annotations == {"a": "", "b": "c"}
    assert manifest.config
    assert manifest.config.urls == ("https://a/", "")


def test_null_in_a_platform_is_not_given() -> None:
    names = ("architecture", "os.version", "os.features", "variant", "features")
    listed = descriptor(b"x", platform={"os": "linux", **dict.fromkeys(names)})

    assert parse_manifest(index(manifests=[listed])).manifests[0].platform == {"os": "linux"}


@pytest.mark.parametrize("data", ["", "YQ==", "YWI=", "YWJj", "YR==", "+/+/", "YW\r\nJj\n", "YWJj" * 100_000])
def test_data_is_what_go_reads_as_base64(data: str) -> None:
    with_data, without = (parse_manifest(image(config=descriptor(b"x", **more))) for more in ({"data": data}, {}))

    assert with_data.config == without.config


def test_a_subject_that_names_nothing_is_refused() -> None:
    with pytest.raises(ManifestInvalidError, match="subject: mediaType and digest"):
        parse_manifest(image(subject={}))


@pytest.mark.parametrize("size", [1 << 63, 1 << 64, 10**30])
def test_a_size_is_less_than_2_to_the_63rd(size: int) -> None:
    assert parse_manifest(image(config={**descriptor(b"x"), "size": (1 << 63) - 1})).config

    with pytest.raises(ManifestInvalidError, match="size"):
        parse_manifest(image(config={**descriptor(b"x"), "size": size}))


@pytest.mark.parametrize("version", ["2.0", "2e0", "true", '"2"', "1" * 30])
def test_the_schema_version_of_an_unknown_type_is_an_integer_too(version: str) -> None:
    with pytest.raises(ManifestInvalidError, match="schemaVersion"):
        parse_manifest(b'{"mediaType": "application/x", "schemaVersion": %b}' % version.encode())


@pytest.mark.parametrize("media_type", sorted(media_types.MANIFESTS | media_types.SCHEMA1))
def test_a_known_media_type_is_spelled_as_every_client_knows_it(media_type: str) -> None:
    for spelled in (media_type.upper().replace("APPLICATION", "application"), media_type.replace("v", "V", 1)):
        content = json.dumps({"schemaVersion": 2, "mediaType": spelled, "layers": []}).encode()
        for declared in (spelled, media_type, None):
            with pytest.raises(ManifestInvalidError, match=r"must be spelled|schema 1 manifests"):
                parse_manifest(content, declared)


@pytest.mark.parametrize("key", ["config", "layers", "manifests"])
def test_an_oci_artifact_has_nothing_of_an_image_or_an_index(key: str) -> None:
    described = descriptor(b"x")
    value = described if key == "config" else [described]

    with pytest.raises(ManifestInvalidError, match="must not have"):
        parse_manifest(json.dumps({"mediaType": media_types.OCI_ARTIFACT, key: value}).encode())


@pytest.mark.parametrize(
    "fields",
    [{"annotations": {"a": 5}}, {"annotations": []}, {"artifactType": 5}, {"data": {}}, {"Annotations": {"a": []}}],
    ids=repr,
)
def test_a_descriptor_with_what_clients_cannot_read_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ManifestInvalidError, match=r"layers\[0\]: "):
        parse_manifest(image(layers=[{**descriptor(b"x"), **fields}]))


def filled(before: bytes, item: bytes, after: bytes) -> bytes:
    """Return a document of nearly MAX_SIZE bytes, with as many of `item` as fit in."""
    return before + b",".join([item] * ((MAX_SIZE - len(before + after)) // (len(item) + 1))) + after


DENSE = [b"[]", b"{}", b"0", b"1e9", b'""', b'{"":0}', b'{"a":{}}', b"[[[]]]", b'{"a":0,"a":1}', b'{"\\"":"\\\\"}']


@pytest.mark.parametrize("item", DENSE, ids=repr)
@pytest.mark.parametrize("key", [b"layers", b"unknown", b"annotations"])
def test_millions_of_values_are_refused_before_they_take_memory(item: bytes, key: bytes) -> None:
    content = filled(b'{"mediaType":"application/x","%b":[' % key, item, b"]}")

    tracemalloc.start()
    with pytest.raises(ManifestInvalidError, match="JSON values"):
        parse_manifest(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 3 * MAX_SIZE


def test_as_many_values_as_are_allowed_take_little_memory() -> None:
    keys = b",".join(b'"%06x":{"a":%d}' % (number, number) for number in range(MAX_VALUES // 2 - 2))
    content = b'{"mediaType":"application/x","unknown":{%b}}' % keys

    tracemalloc.start()
    assert parse_manifest(content).media_type == "application/x"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 12 * MAX_SIZE
    with pytest.raises(ManifestInvalidError, match="JSON values"):
        parse_manifest(content[:-1] + b',"more":[1,2,3,4]}')


@pytest.mark.parametrize("text", [",", ',\\"', "\\\\,", '\\\\\\",[{', '","'.replace('"', '\\"'), "[{,]}"])
def test_marks_in_text_are_no_values(text: str) -> None:
    long = b'"%b"' % (text.encode() * (3 * MAX_VALUES // len(text)))
    content = b'{"mediaType":"application/x","annotations":{"a":%b,"b":%b},"c":[%b]}' % (long, long, long)

    assert parse_manifest(content).annotations["a"] == json.loads(long)


def test_text_that_does_not_end_is_not_json_and_costs_nothing() -> None:
    with pytest.raises(ManifestInvalidError, match="not valid JSON"):
        parse_manifest(b'{"a":"' + b'\\"[,' * 1_000_000)


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
