"""Manifests as this registry reads them, and as a program with Go's own JSON package does: random documents."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestInvalidError
from registry.oci.manifest import parse_manifest
from registry.oci.stored import read_stored, stored_media_type
from tests.integration.clients import require_program, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.oci.manifest import Descriptor, Manifest

pytestmark = pytest.mark.timeout(300)

SURROGATE = re.compile("[\ud800-\udfff]")


class Pairs(list[tuple[str, Any]]):
    """An object, which may have equal keys."""


class Raw(str):
    """JSON as it stands."""

    __slots__ = ()


def text_of(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{text_of(key)}:{text_of(each)}" for key, each in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def spellings(name: str) -> list[str]:
    """Return `name` and keys that are, or only seem to be, the same for a reader that takes no notice of case."""
    long_s = name.replace("s", "\u017f", 1).replace("k", "\u212a", 1)
    return [name] * 8 + [name.lower(), name.upper(), name.title(), long_s, name.replace("fi", "\ufb01"), name + " "]


def members(fields: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[Pairs]:
    pair = st.sampled_from(sorted(fields)).flatmap(
        lambda name: st.tuples(st.sampled_from(spellings(name)), st.just(None) | fields[name])
    )
    return st.lists(pair, max_size=most).map(Pairs)


TEXT = st.sampled_from(["", "a", "é", "\U0001f600", "\udce9", "\udce2\udc82"])
TEXTS = st.dictionaries(TEXT, st.none() | TEXT, max_size=2).map(lambda each: Pairs(each.items()))
DIGEST = st.sampled_from([*(f"sha256:{number:064x}" for number in range(6)), "", "sha256:abc"])
MEDIA_TYPE = st.sampled_from([
    *sorted(media_types.IMAGES | media_types.INDEXES),
    *("", "application/x", "text/html", media_types.OCI_INDEX.upper(), min(media_types.NON_DISTRIBUTABLE)),
])  # fmt: skip
SIZE = st.sampled_from(
    [Raw(each) for each in ("5", "0", "-0", "-1", "9223372036854775807", "9223372036854775808", "1.0", "1e3", '"5"')]
)
PLATFORM = members({"architecture": TEXT, "os": TEXT, "variant": TEXT, "os.features": st.lists(TEXT, max_size=2)}, 3)
DESCRIPTOR_FIELDS = {
    "mediaType": MEDIA_TYPE,
    "digest": DIGEST,
    "size": SIZE,
    "urls": st.lists(st.none() | TEXT, max_size=2),
    "platform": PLATFORM,
    "annotations": TEXTS,
    "artifactType": TEXT,
    "data": st.just("e30="),
}
WHOLE = st.tuples(DIGEST, MEDIA_TYPE).map(
    lambda each: Pairs([("digest", each[0]), ("mediaType", each[1]), ("size", 1)])
)
DESCRIPTOR = WHOLE | members(DESCRIPTOR_FIELDS, 5) | st.tuples(WHOLE, members(DESCRIPTOR_FIELDS, 2)).map(
    lambda each: Pairs([*each[0], *each[1]])
)  # fmt: skip
DESCRIPTORS = st.lists(st.none() | DESCRIPTOR, max_size=3)
UNKNOWN = st.sampled_from([
    *map(Raw, ("9" * 5000, "[" * 2000 + "]" * 2000, '{"a":1,"a":{"digest":5}}', "1e400")),
])  # fmt: skip
DOCUMENT_FIELDS = {
    "schemaVersion": st.sampled_from([Raw("2"), Raw("1"), Raw("2.0")]),
    "mediaType": MEDIA_TYPE,
    "artifactType": TEXT,
    "config": DESCRIPTOR,
    "layers": DESCRIPTORS,
    "blobs": DESCRIPTORS,
    "manifests": DESCRIPTORS,
    "subject": DESCRIPTOR,
    "annotations": TEXTS,
    "unknown": UNKNOWN,
}
CONFIG = Pairs([("digest", f"sha256:{0:064x}")])
HEAD = st.sampled_from([
    Pairs([("schemaVersion", 2), ("mediaType", media_types.OCI_MANIFEST), ("config", CONFIG)]),
    Pairs([("SchemaVersion", 2), ("MEDIATYPE", media_types.OCI_INDEX)]),
    Pairs([("schemaVersion", 2)]),
    Pairs([("mediaType", "application/x")]),
    Pairs(),
])  # fmt: skip
DOCUMENT = st.tuples(HEAD, members(DOCUMENT_FIELDS, 6)).map(
    lambda each: text_of(Pairs([*each[0], *each[1]])).encode("utf-8", "surrogateescape")
)


def clean(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    """Return objects with each key once, in any case; what is optional may be null."""
    nullable = {name: st.none() | strategy for name, strategy in optional.items()}
    case: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
        [str, str, str, str.lower, str.upper, lambda name: name.replace("s", "\u017f", 1)]
    )
    return st.fixed_dictionaries(required, optional=nullable).flatmap(
        lambda found: st.lists(case, min_size=len(found), max_size=len(found)).map(
            lambda cases: Pairs((each(name), found[name]) for each, name in zip(cases, found, strict=True))
        )
    )


WRITTEN = st.sampled_from(["", "a", "é", "\U0001f600"])
CLEAN_DESCRIPTOR = clean(
    {"digest": st.sampled_from([f"sha256:{number:064x}" for number in range(6)])},
    {
        "mediaType": st.sampled_from(["", "application/x", *sorted(media_types.MANIFESTS)]),
        "urls": st.lists(WRITTEN, max_size=2),
        "platform": clean({}, {"architecture": WRITTEN, "os": WRITTEN, "os.features": st.lists(WRITTEN, max_size=2)}),
        "annotations": st.dictionaries(WRITTEN, WRITTEN, max_size=2).map(lambda each: Pairs(each.items())),
        "artifactType": WRITTEN,
        "data": st.sampled_from(["", "e30="]),
    },
) | st.builds(
    lambda digest, size: Pairs([("SIZE", size), ("digest", f"sha512:{digest:0128x}")]),
    st.integers(0, 6),
    st.sampled_from([0, 1, 2**53 + 1, 2**63 - 1]),
)
CLEAN_OPTIONAL = {
    "artifactType": WRITTEN,
    "annotations": st.dictionaries(WRITTEN, WRITTEN, max_size=3).map(lambda each: Pairs(each.items())),
    "subject": CLEAN_DESCRIPTOR,
    "extension": UNKNOWN.filter(lambda each: len(each) < 2000),
}
CLEAN_LIST = st.lists(CLEAN_DESCRIPTOR, max_size=4)
CLEAN_IMAGE = clean(
    {"schemaVersion": st.just(2), "config": CLEAN_DESCRIPTOR},
    {"mediaType": st.sampled_from(["", *sorted(media_types.IMAGES)]), "layers": CLEAN_LIST, **CLEAN_OPTIONAL},
)
CLEAN_INDEX = clean(
    {"schemaVersion": st.just(2), "mediaType": st.sampled_from(sorted(media_types.INDEXES))},
    {"manifests": CLEAN_LIST, **CLEAN_OPTIONAL},
)
CLEAN_DOCUMENT = (CLEAN_IMAGE | CLEAN_INDEX).map(lambda each: text_of(each).encode())


class Go:
    """The program, which reads one document after the other."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, content: bytes) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(base64.b64encode(content) + b"\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Go]:
    program = tmp_path_factory.mktemp("go") / "readings"
    run(require_program("go"), "build", "-o", program, Path(__file__).with_name("readings.go"))
    reader = Go(program)
    with reader.process:
        yield reader
        assert reader.process.stdin
        reader.process.stdin.close()


@settings(max_examples=1500, deadline=None)
@given(content=DOCUMENT)
def test_what_the_go_registry_serves_is_served_with_its_type_and_leads_to_all_that_it_finds(
    go: Go, content: bytes
) -> None:
    told = go.read(content)
    if not told["served"]:
        return

    assert stored_media_type(content) == told["served"]
    manifest = read_stored(content)
    assert manifest.content == content
    assert manifest.media_type == told["served"]
    if "error" not in told:
        assert digests_in(told["read"]) <= {each.digest for _, each in manifest.references()}
        assert digests_of([told["read"].get("subject")]) <= {each.digest for each in manifest.subjects}


def exact_readings(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield what clients read that match keys exactly: of equal ones those that take the last, or the first."""
    text = content.decode("utf-8", "replace")
    for hook in (dict, lambda pairs: dict(reversed(pairs))):
        with suppress(ValueError, RecursionError):
            yield json.loads(text, object_pairs_hook=hook)


@settings(max_examples=1500, deadline=None)
@given(content=DOCUMENT | CLEAN_DOCUMENT)
def test_a_stored_manifest_leads_to_what_clients_find_that_match_keys_exactly(content: bytes) -> None:
    for read in exact_readings(content):
        described = read.get("config"), read.get("subject")
        lists = [[each for each in read.get(name) or [] if each] for name in ("layers", "blobs", "manifests")]
        found, subjects = ({each["digest"]} if each and each.get("digest") else set() for each in described)
        found |= {each.get("digest") for listed in lists for each in listed}
        try:
            manifest = read_stored(content)
        except ManifestInvalidError:  # of schema 1: the garbage collection keeps all
            continue

        assert valid(found) <= {each.digest for _, each in manifest.references()}
        assert valid(subjects) <= {each.digest for each in manifest.subjects}


@settings(max_examples=1000, deadline=None)
@given(content=CLEAN_DOCUMENT)
def test_what_the_go_registry_takes_and_all_clients_read_alike_may_be_pushed(go: Go, content: bytes) -> None:
    manifest = parse_manifest(content, go.read(content)["served"])

    assert manifest.media_type == stored_media_type(content)


@settings(max_examples=1500, deadline=None)
@given(content=DOCUMENT | CLEAN_DOCUMENT)
def test_what_may_be_pushed_is_read_as_go_reads_it_to_the_last_member(go: Go, content: bytes) -> None:
    try:
        manifest = parse_manifest(content)
    except ManifestInvalidError:
        return
    told = go.read(content)

    assert "error" not in told
    assert comparable(manifest) == comparable_to_go(told["read"], manifest)
    assert read_stored(content) == manifest
    assert stored_media_type(content) == manifest.media_type


def digests_in(read: dict[str, Any]) -> set[Digest]:
    lists = (read.get(name) or [] for name in ("layers", "blobs", "manifests"))
    return digests_of([read["config"], *(each for listed in lists for each in listed)])


def digests_of(described: list[dict[str, Any] | None]) -> set[Digest]:
    return valid({each["digest"] for each in described if each})


def valid(texts: set[str | None]) -> set[Digest]:
    found = set()
    for each in texts:
        with suppress(DigestInvalidError):
            found.add(Digest.parse(each or ""))
    return found


def comparable(manifest: Manifest) -> dict[str, Any]:
    config, subject = manifest.config, manifest.subject
    return {
        "config": _descriptor(config) if config else None,
        "blobs": [_descriptor(each) for each in manifest.blobs],
        "manifests": [_descriptor(each) for each in manifest.manifests],
        "subject": _descriptor(subject) if subject else None,
        "annotations": dict(manifest.annotations),
    }


def _descriptor(described: Descriptor) -> tuple[object, ...]:
    platform = {name: described.platform.get(name) or "" for name in ("architecture", "os")}
    return described.media_type, str(described.digest), described.size, described.urls, platform


def comparable_to_go(read: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    return {
        "config": _of_go(read["config"]) if manifest.config else None,
        "blobs": [_of_go(each) for each in [*(read["layers"] or []), *read.get("blobs", [])]],
        "manifests": [_of_go(each) for each in read["manifests"] or []],
        "subject": _of_go(read["subject"]) if read.get("subject") else None,
        "annotations": read.get("annotations", {}),
    }


def _of_go(read: dict[str, Any]) -> tuple[object, ...]:
    platform = {name: read.get("platform", {}).get(name) or "" for name in ("architecture", "os")}
    return read["mediaType"], read["digest"], read["size"], tuple(read.get("urls", ())), platform
