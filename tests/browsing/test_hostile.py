"""Configs, manifests and histories that somebody has made to break whoever shows them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.browsing.foreign import LONGEST_DOCUMENT, LONGEST_TEXT, MOST_ENTRIES, Shown, escaped, read_object
from registry.browsing.images import Images
from registry.browsing.manifest import details
from registry.inventory.local import StorageReader
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories
from tests.archive.images import blob, manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.browsing.shapes import Details

TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
"""Any text, with what is not a character in it, such as half of a surrogate pair."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LINES = st.lists(
    JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("created_by", "empty_layer", "created", "comment"), JSON))
)
CONTAINER = ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes", "Labels", "StopSignal")
CONFIGS = JSON | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("os", "architecture", "variant", "created", "author", "rootfs"), JSON),
        "config": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(CONTAINER, JSON)),
        "history": JSON | LINES,
    },
)


def shown(config: bytes) -> Details:
    """Return what is shown of an image of two layers that has such a config."""
    repositories = Repositories(InMemoryDriver())
    app = repositories.open("app")
    described = blob(app, config, media_types.OCI_CONFIG)
    document = {
        "mediaType": media_types.OCI_MANIFEST,
        "config": described,
        "layers": [blob(app, b"1"), blob(app, b"2")],
    }
    digest = Digest.parse(manifest(app, document)["digest"])
    found = details(Images(StorageReader(repositories)), "app", digest)
    assert found
    return found


def stored(content: bytes) -> Details | None:
    """Return what is shown of a manifest that another registry has let in."""
    driver, digest = InMemoryDriver(), Digest.of(content)
    driver.put(paths.blob_data(digest), content)
    write_link(driver, paths.revision_link("app", digest), digest)
    return details(Images(StorageReader(Repositories(driver))), "app", digest)


def texts_in(value: Any) -> Iterator[str]:
    """Yield each text in what is shown."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from texts_in(key)
            yield from texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_in(each)


def assert_fit_to_be_shown(found: Details) -> None:
    """Fail if a page could not be made of it, or would have no end."""
    for text in texts_in(asdict(found)):
        text.encode("utf-8")
        assert len(text) <= 8 * LONGEST_DOCUMENT
    for table in (found.layers, found.variants, found.labels, found.annotations):
        assert len(table or ()) <= MOST_ENTRIES
    assert len(found.steps) <= MOST_ENTRIES + len(found.layers)


@given(CONFIGS)
def test_any_config_is_shown_with_the_layers(config: Any) -> None:
    found = shown(json.dumps(config).encode())
    assert_fit_to_be_shown(found)
    assert [step.layer for step in found.steps if step.layer] == list(found.layers)


@given(st.binary(max_size=200))
def test_a_config_of_any_bytes_is_shown(config: bytes) -> None:
    assert_fit_to_be_shown(shown(config))


@given(
    st.fixed_dictionaries(
        {"schemaVersion": st.just(2) | JSON},
        optional={
            **dict.fromkeys(("mediaType", "artifactType", "annotations", "subject"), JSON),
            "config": JSON | st.fixed_dictionaries({"digest": JSON, "mediaType": JSON}),
            "layers": JSON | st.lists(st.fixed_dictionaries({"digest": JSON}, optional={"annotations": JSON})),
            "manifests": JSON,
        },
    )
)
def test_any_manifest_that_is_stored_is_shown(document: Any) -> None:
    found = stored(json.dumps(document).encode())
    if found:
        assert_fit_to_be_shown(found)


@pytest.mark.parametrize(
    "config",
    [
        b"[" * 1_000_000,
        b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
        b'{"history": [' + b"{}," * 100_000 + b"{}]}",
        b'{"history": [' + b"{}," * 1_300_000 + b"{}]}",
        b'{"config": {"Labels": {' + b",".join(b'"%d":""' % number for number in range(50_000)) + b"}}}",
        b'{"os": ' + b"9" * 1_000_000 + b"}",
        b'{"os": "' + b"\\u202e\\u0000" * 100_000 + b'"}',
        b'{"config": {"Env": "' + b"x" * 4_000_000 + b'"}}',
        b'{"history": [{"created_by": "|1 ' + b"/bin/sh " * 200_000 + b'"}]}',
        b'"' + b"\\" * 1_000_001,
        b'{"os": NaN}',
    ],
    ids=[
        *(
            "open",
            "deep",
            "long",
            "too many",
            "labels",
            "number",
            "bidi",
            "text",
            "arguments",
            "backslashes",
            "constant",
        )
    ],
)
def test_what_is_made_to_be_expensive_is_cut_or_not_read(config: bytes) -> None:
    assert_fit_to_be_shown(shown(config))


def test_an_index_of_very_many_manifests_is_cut() -> None:
    entry = {"mediaType": media_types.OCI_MANIFEST, "size": 1}
    entries = [entry | {"digest": str(Digest.of(b"%d" % number))} for number in range(20_000)]
    found = stored(json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}).encode())
    assert found
    assert (len(found.variants), found.cut, found.total) == (MOST_ENTRIES, True, None)


@given(TEXT)
def test_escapes_are_those_of_json_and_leave_only_what_can_be_printed(text: str) -> None:
    written = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert written.replace("\n", "").isprintable()


@given(JSON)
def test_a_document_is_indented_and_stays_the_same(value: Any) -> None:
    content = json.dumps({"value": value}).encode()
    text = Shown().document(content)
    assert repr(json.loads(text)) == repr(json.loads(content))
    assert len(text) == 1 or "\n" in text


def test_a_document_has_a_line_for_each_value() -> None:
    content = b'{"a":[1,{"b":"c,]","d":[]}],"e":{},"a":-1.50}'
    assert Shown().document(content) == (
        '{\n  "a": [\n    1,\n    {\n      "b": "c,]",\n      "d": []\n    }\n  ],\n  "e": {},\n  "a": -1.50\n}\n'
    )


@pytest.mark.parametrize("content", [b"[" * 40 + b"[]," * 200_000, b"x" * 3_000_000, b'["' + b"x" * 3_000_000 + b'"]'])
def test_a_document_that_would_be_very_long_is_cut(content: bytes) -> None:
    shown = Shown()
    assert len(shown.document(content)) == LONGEST_DOCUMENT
    assert shown.cut


def test_what_is_too_long_is_cut_and_said_to_be() -> None:
    shown = Shown()
    assert shown.text("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    assert not shown.cut
    assert shown.text("x" * (LONGEST_TEXT + 1)).endswith("…")
    assert shown.cut


def test_an_object_is_read_and_nothing_else_is() -> None:
    assert read_object(b'{"a": 1}') == {"a": 1}
    assert read_object(b"[1]") == read_object(b"") == read_object(b"\xff") == {}
