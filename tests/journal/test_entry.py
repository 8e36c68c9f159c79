from __future__ import annotations

import json

import pytest

from registry.journal.entry import Entry, EntryError, Instance, Origin

DIGEST = "sha256:" + "a" * 64
FULL = Entry(
    id="a2f2",
    action="push",
    kind="manifest",
    consumers=("ci", "é\n"),
    repository="team/app",
    digest=DIGEST,
    tags=("v1", "v2"),
    media_type="application/vnd.oci.image.manifest.v1+json",
    size=7,
    references=({"digest": DIGEST, "size": 2, "platform": {"os": "linux"}},),
    source="base",
    previous={"v1": DIGEST, "v2": ""},
    details={"rule": "1"},
    origin=Origin(
        "ann", "bob", "10.0.0.1", "10.0.0.2:7", "host:5000", "PUT", "docker/27\r\n", "id", "http://host:5000"
    ),
    instance=Instance("host:5000", "9c"),
)


def test_an_entry_is_a_line_and_is_read_as_it_was() -> None:
    assert all(FULL)

    line = FULL.encode()

    assert b"\n" not in line
    assert Entry.decode(line) == FULL


def test_the_line_is_the_one_that_servers_of_other_versions_have_written() -> None:
    assert FULL.encode() == (
        b'{"id":"a2f2","action":"push","kind":"manifest","consumers":["ci","\xc3\xa9\\n"],"repository":"team/app",'
        b'"digest":"%(digest)b","tags":["v1","v2"],"media_type":"application/vnd.oci.image.manifest.v1+json","size":7,'
        b'"references":[{"digest":"%(digest)b","size":2,"platform":{"os":"linux"}}],"source":"base",'
        b'"previous":{"v1":"%(digest)b","v2":""},"details":{"rule":"1"},"origin":{"actor":"ann","claimed_user":"bob",'
        b'"client":"10.0.0.1","claimed":"10.0.0.2:7","host":"host:5000","method":"PUT","user_agent":"docker/27\\r\\n",'
        b'"request_id":"id","base_url":"http://host:5000"},"instance":{"addr":"host:5000","id":"9c"}}'
        % {b"digest": DIGEST.encode()}
    )


def test_what_is_empty_is_left_out() -> None:
    entry = Entry("1", "delete", "tag", origin=Origin(actor="ann"))

    line = entry.encode()

    assert json.loads(line) == {"id": "1", "action": "delete", "kind": "tag", "origin": {"actor": "ann"}}
    assert Entry.decode(line) == entry


@pytest.mark.parametrize("name", Entry._fields)
@pytest.mark.parametrize("value", [None, 1.5, [[1]], {"actor": 1, "id": None}])
def test_a_member_of_another_type_is_refused_with_a_line(name: str, value: object) -> None:
    content = json.loads(FULL.encode()) | {name: value}

    with pytest.raises(EntryError, match=r"^not an entry: .* is not of the type [a-z]+$"):
        Entry.decode(json.dumps(content).encode())


def test_a_record_nested_deeper_than_python_calls_is_refused_with_a_line() -> None:
    with pytest.raises(EntryError, match="not an entry: "):
        Entry.decode(b"[" * 99999)
