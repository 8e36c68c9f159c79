from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from drivers.log import MOST_BYTES
from registry.journal.change import Change
from registry.journal.entry import Entry, Instance, Origin
from registry.journal.recorder import Recorder
from registry.journal.references import references_of
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE, Manifest, parse_manifest
from registry.storage import paths
from tests.drivers.failing import FailingDriver

DIGEST = f"sha256:{'a' * 64}"
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIGEST, "size": 3}
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2}


@dataclass
class Wanting:
    """A consumer of what happens to repositories whose name begins so."""

    name: str
    beginning: str = ""
    wants_references: bool = False
    wants_previous: bool = False

    def wants(self, change: Change) -> bool:
        return change.repository.startswith(self.beginning)


class Caller:
    """A caller who counts how often somebody wants to know who it is."""

    def __init__(self) -> None:
        self.asked = 0

    @property
    def origin(self) -> Origin:
        self.asked += 1
        return Origin(actor="ann", client="192.0.2.1")


def image(**members: Any) -> Manifest:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": CONFIG,
        "layers": [LAYER, LAYER],
    }
    return parse_manifest(json.dumps(document | members).encode())


def push(manifest: Manifest, repository: str = "team/app") -> Change:
    digest = Digest.of(manifest.content)
    return Change("push", "manifest", repository, digest, ["v1"], manifest.media_type, 9, manifest=manifest)


def recorded(change: Change, *consumers: Wanting) -> list[Entry]:
    log = InMemoryDriver().log(paths.JOURNAL)
    Recorder(log, consumers, Instance("host:5000", "1")).record(change, Caller())
    return [Entry.decode(record.content) for record in log.after("", before_ns=2**62, limit=10).records]


def test_an_entry_names_those_who_want_it_and_has_what_the_change_has() -> None:
    manifest = image()

    [entry] = recorded(push(manifest), Wanting("ci"), Wanting("other", "other/"), Wanting("ui", "team/"))

    assert entry == Entry(
        id=entry.id,
        action="push",
        kind="manifest",
        consumers=("ci", "ui"),
        repository="team/app",
        digest=str(Digest.of(manifest.content)),
        tags=("v1",),
        media_type=manifest.media_type,
        size=9,
        origin=Origin(actor="ann", client="192.0.2.1"),
        instance=Instance("host:5000", "1"),
    )


def test_what_nobody_wants_is_not_recorded_and_nobody_asks_for_its_origin() -> None:
    log, caller = InMemoryDriver().log(paths.JOURNAL), Caller()

    Recorder(log, [Wanting("other", "other/")], Instance()).record(push(image()), caller)

    assert log.count("") == 0
    assert caller.asked == 0


def test_each_entry_has_an_id_of_its_own() -> None:
    log = InMemoryDriver().log(paths.JOURNAL)
    recorder = Recorder(log, [Wanting("ci")], Instance())
    for _ in range(3):
        recorder.record(push(image()), Caller())

    assert len({Entry.decode(each.content).id for each in log.after("", before_ns=2**62, limit=9).records}) == 3


def test_references_are_recorded_where_one_who_is_given_the_entry_wants_them() -> None:
    change = push(image())

    assert recorded(change, Wanting("ci"))[0].references == ()
    assert recorded(change, Wanting("ci"), Wanting("b", "other/", wants_references=True))[0].references == ()
    assert recorded(change, Wanting("ci"), Wanting("b", wants_references=True))[0].references == (CONFIG, LAYER, LAYER)


def test_where_a_tag_pointed_is_looked_up_if_one_wants_to_know() -> None:
    log = InMemoryDriver().log(paths.JOURNAL)

    assert not Recorder(log, [Wanting("ci")], Instance()).wants_previous
    assert Recorder(log, [Wanting("ci"), Wanting("audit", wants_previous=True)], Instance()).wants_previous


def test_an_entry_that_cannot_be_added_is_an_error() -> None:
    log = FailingDriver(InMemoryDriver(), fail_at=1).log(paths.JOURNAL)

    with pytest.raises(DriverError):
        Recorder(log, [Wanting("ci")], Instance()).record(push(image()), Caller())


def test_references_have_the_members_that_the_go_registry_knows_in_its_order() -> None:
    written = {
        "unknown": {"x": 1},
        "artifactType": "text/x",
        "data": "eA==",
        "annotations": {"b": "2", "a": "1"},
        "urls": ["https://example.com/layer"],
        "platform": {"features": ["x"], "variant": "v7", "os.features": ["y"], "os": "linux"},
        **LAYER,
    }

    [_, layer, empty] = references_of(image(layers=[written, LAYER | {"annotations": {}, "platform": {}, "urls": []}]))

    assert json.dumps(layer) == json.dumps(
        {
            **LAYER,
            "urls": ["https://example.com/layer"],
            "annotations": {"a": "1", "b": "2"},
            "data": "eA==",
            "platform": {"architecture": "", "os": "linux", "os.features": ["y"], "variant": "v7"},
            "artifactType": "text/x",
        }
    )
    assert empty == LAYER | {"platform": {"architecture": "", "os": ""}}


def test_keys_are_found_in_the_spelling_that_the_go_registry_takes() -> None:
    document = {"schemaVersion": 2, "Layers": [{"MEDIATYPE": "a/b", "Digest": DIGEST, "\u017fize": 1}]}

    assert references_of(Manifest(json.dumps(document).encode(), "a/b")) == [
        {"mediaType": "a/b", "digest": DIGEST, "size": 1}
    ]


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"{",
            b"[]",
            b"7",
            b"null",
            b"\xff",
            b'{"config":[],"layers":{},"manifests":"x"}',
            b'{"layers":[7,null]}',
        ),
        b'{"layers":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_has_another_form_names_nothing(content: bytes) -> None:
    assert references_of(Manifest(content, "a/b")) == []


def test_members_of_another_type_are_empty() -> None:
    odd: dict[str, object] = {
        "mediaType": 1,
        "digest": None,
        "size": "1",
        "urls": "x",
        "annotations": {"a": 1},
        "platform": [],
        "data": {},
    }

    assert references_of(Manifest(json.dumps({"layers": [odd]}).encode(), "a/b")) == [
        {"mediaType": "", "digest": "", "size": 0}
    ]


@pytest.mark.parametrize("character", ["é", "\U0001f600", "x", "\\", "\x7f", "\u2028"])
def test_the_largest_manifest_has_an_entry(character: str) -> None:
    room = MAX_SIZE - 1000
    text = json.dumps(character, ensure_ascii=False)[1:-1]
    text *= room // len(text.encode())
    layer = json.dumps(LAYER)[:-1] + f', "annotations": {{"a": "{text}"}}}}'
    manifest = parse_manifest(image(layers=[]).content.replace(b'"layers": []', b'"layers": [%s]' % layer.encode()))
    assert room < len(manifest.content) <= MAX_SIZE

    [entry] = recorded(push(manifest), Wanting("ci", wants_references=True))

    assert entry.references[1]["annotations"]["a"][-1] == character
    assert len(entry.encode()) < MOST_BYTES
