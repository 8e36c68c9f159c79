from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook, WebhookVerificationError

from registry.journal.entry import BLOB, MOUNT, REPOSITORY, TAG
from registry.notifications import cloudevents, docker, signature
from registry.notifications.events import events_of
from tests.notifications.journals import DIGEST, MANIFEST_TYPE, deletion, push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.journal.entry import Entry

TIME_NS = 1_721_000_000_123_456_000
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
AS_GO_WRITES_IT = """{
   "events": [
      {
         "id": "%s",
         "timestamp": "2024-07-14T23:33:20.123456Z",
         "action": "push",
         "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "%s",
            "size": 527,
            "length": 527,
            "repository": "team/app",
            "url": "https://registry.example/v2/team/app/manifests/%s",
            "tag": "v1",
            "references": [
               {
                  "mediaType": "application/vnd.oci.image.config.v1+json",
                  "digest": "%s",
                  "size": 2,
                  "annotations": {
                     "note": "a \\u003cb\\u003e \\u0026 \u00e9"
                  }
               }
            ]
         },
         "request": {
            "id": "5b1f0a2e-6a3c-4d6e-8f6e-2f0f6b7a8c11",
            "addr": "203.0.113.7",
            "host": "registry.example",
            "method": "PUT",
            "useragent": "docker/27"
         },
         "actor": {
            "name": "alice"
         },
         "source": {
            "addr": "host:5000",
            "instanceID": "0b7d3a60-4a5e-4a1f-9a53-9e4a0c1f2d3e"
         }
      }
   ]
}"""


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def targets(entry: Entry) -> list[dict[str, object]]:
    return [docker.record(event)["target"] for event in events_of(entry, TIME_NS)]


@pytest.mark.usefixtures("utc")
def test_an_envelope_is_byte_for_byte_what_go_writes() -> None:
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": DIGEST,
        "size": 2,
        "annotations": {"note": "a <b> & \u00e9"},
    }
    (event,) = events_of(push("v1", references=[config]), TIME_NS)

    assert docker.envelope([event]).decode() == AS_GO_WRITES_IT % (event.id, DIGEST, DIGEST, DIGEST)


def test_a_push_with_three_tags_is_three_events_that_differ_in_id_and_tag_only() -> None:
    first, *others = (docker.record(event) for event in events_of(push(tags=["a", "b", "c"]), TIME_NS))

    assert [each["target"]["tag"] for each in (first, *others)] == ["a", "b", "c"]
    assert len({each["id"] for each in (first, *others)}) == 3
    for other in others:
        other["id"], other["target"]["tag"] = first["id"], "a"
        assert other == first


def test_events_of_an_entry_have_the_same_ids_whenever_they_are_made() -> None:
    entry = push(tags=["a", "b"])
    assert [each.id for each in events_of(entry, 1)] == [each.id for each in events_of(entry, 2)]


def test_the_deletion_of_a_manifest_is_an_event_of_its_digest_and_one_of_each_tag() -> None:
    nothing = {"mediaType": "", "digest": "", "size": 0, "repository": "team/app"}
    assert targets(deletion(tags=["a", "b"])) == [
        nothing | {"digest": DIGEST},
        nothing | {"tag": "a"},
        nothing | {"tag": "b"},
    ]


def test_a_tag_a_blob_and_a_repository_that_go_are_one_event_each() -> None:
    nothing = {"mediaType": "", "digest": "", "size": 0, "repository": "team/app"}
    assert targets(deletion(TAG, tags=["v1"], digest="")) == [nothing | {"tag": "v1"}]
    assert targets(deletion(BLOB)) == [nothing | {"digest": DIGEST}]
    assert targets(deletion(REPOSITORY, digest="")) == [nothing]


def test_a_mount_says_where_the_blob_comes_from() -> None:
    entry = push("", action=MOUNT, kind=BLOB, media_type="application/octet-stream", size=5, source="other/app")
    assert targets(entry) == [
        {
            "mediaType": "application/octet-stream",
            "digest": DIGEST,
            "size": 5,
            "length": 5,
            "repository": "team/app",
            "fromRepository": "other/app",
            "url": f"https://registry.example/v2/team/app/blobs/{DIGEST}",
        }
    ]


@pytest.mark.parametrize(
    ("zone", "time_ns", "text"),
    [
        ("UTC", TIME_NS, "2024-07-14T23:33:20.123456Z"),
        ("UTC", 1_721_000_000_000_000_001, "2024-07-14T23:33:20.000000001Z"),
        ("UTC", 1_721_000_000_000_000_000, "2024-07-14T23:33:20Z"),
        ("Europe/Berlin", 1_721_000_000_500_000_000, "2024-07-15T01:33:20.5+02:00"),
        ("America/St_Johns", 1_721_000_000_000_000_000, "2024-07-14T21:03:20-02:30"),
        ("Africa/Abidjan", 1_721_000_000_000_000_000, "2024-07-14T23:33:20Z"),
    ],
)
@pytest.mark.usefixtures("utc")
def test_a_time_is_written_as_go_writes_it(monkeypatch: pytest.MonkeyPatch, zone: str, time_ns: int, text: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert docker.timestamp(time_ns) == text


def test_a_cloud_event_is_read_by_the_library_of_its_makers() -> None:
    (event,) = events_of(push("v1"), TIME_NS)

    read = from_http_event(HTTPMessage({"content-type": cloudevents.MEDIA_TYPE}, cloudevents.single(event)))

    assert read.get_id() == event.id
    assert read.get_type() == "registry.manifest.push"
    assert read.get_source() == "https://registry.example"
    assert read.get_subject() == "team/app:v1"
    assert read.get_datacontenttype() == "application/json"
    assert read.get_time().timestamp() == pytest.approx(TIME_NS / 1e9)  # type: ignore[union-attr]
    data = read.get_data()
    assert isinstance(data, dict)
    assert data["target"]["digest"] == DIGEST
    assert data["target"]["mediaType"] == MANIFEST_TYPE
    assert data["actor"] == {"name": "alice"}


def test_cloud_events_of_what_was_deleted_name_it() -> None:
    entry = deletion(tags=["v1"])
    told = json.loads(cloudevents.batch(list(events_of(entry, TIME_NS))))
    assert [(each["type"], each["subject"]) for each in told] == [
        ("registry.manifest.delete", f"team/app@{DIGEST}"),
        ("registry.tag.delete", "team/app:v1"),
    ]
    (gone,) = events_of(deletion(REPOSITORY, digest=""), TIME_NS)
    told = json.loads(cloudevents.single(gone))
    assert (told["type"], told["subject"]) == ("registry.repository.delete", "team/app")


def test_a_signature_is_verified_by_the_library_of_standard_webhooks() -> None:
    body = b'{"events": "\xc3\xa9"}'
    headers = dict(signature.signed(signature.key_of(SECRET), "an-id", body, now_seconds=int(time.time())))

    assert Webhook(SECRET).verify(body, headers) == {"events": "\u00e9"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers | {"webhook-id": "another"})
