"""Archives that are broken or meant to harm: one line says what is wrong, nothing is published, memory stays flat."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.archive.importing import plan_import, publish
from registry.archive.layout import IMAGE_ANNOTATION, TAG_ANNOTATION, ArchiveError, blob_name
from registry.archive.reading import Archive
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.publishing import Operator, Publishing
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests import content
from tests.archive.images import Quiet
from tests.archive.tars import (
    BLOCK,
    END,
    MANIFEST,
    MARKER,
    PARTS,
    archive,
    blob,
    entry,
    header,
    index,
    member,
    pax,
    record,
)


def published(archive_: bytes, name: str | None = None) -> list[str]:
    """Import an archive into an empty registry and return the tags of all repositories; nothing is left on an error."""
    driver = InMemoryDriver()
    repositories = Repositories(driver)
    try:
        opened = Archive(io.BytesIO(archive_))
        opened.verify(Quiet())
        planned = plan_import(opened, name)
        publish(repositories, Publishing(ValidationPolicy(), Operator()), opened, planned, Quiet())
    except ArchiveError:
        assert driver.list("/docker", limit=9) == []
        raise
    return [f"{name}:{tag}" for name in repositories.catalog.names() for tag in repositories.open(name).tags.names()]


def sparse(name: str) -> bytes:
    return header(name, 0, tarfile.GNUTYPE_SPARSE)


def size_256(size: int, name: str = "blobs/x") -> bytes:
    """Return a header that gives its size in base 256, as GNU's tar does for what octal digits cannot hold."""
    block = bytearray(header(name, 0))
    block[124:136] = (b"\x80" if size >= 0 else b"\xff") + (size % 2**88).to_bytes(11, "big")
    return with_checksum(block)


def with_checksum(block: bytes | bytearray) -> bytes:
    changed = bytearray(block)
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


DEEP = b"[" * 1_000_000
LAYER = f"blobs/sha256/{Digest.of(b'layer').hex}"
INDEXED = index(entry(MANIFEST))


@pytest.mark.parametrize(
    ("archive_", "expected"),
    [
        (b"", "it has no oci-layout"),
        (b"\0" * 100, "truncated"),
        (END, "it has no oci-layout"),
        (b"nonsense" * 100, "this is not a tar"),
        (gzip.compress(archive(), mtime=0), "compressed with gzip: decompress it"),
        (b"\x28\xb5\x2f\xfd" + bytes(5000), "compressed with zstd"),
        (archive()[:-1500], "truncated"),
        (archive()[:700], "truncated"),
        (archive(before=size_256(-1)), "has a size of -1"),
        (archive(before=size_256(-512)), "has a size of -512"),
        (archive(before=size_256(-(2**87))), "has a size of -"),
        (archive(before=size_256(2**80)), "truncated"),
        (archive(before=header("x", 8**11 - 1)), "truncated"),
        (archive(before=pax(("size", b"-512")) + member("x", b"")), "not a number"),
        (archive(before=pax(("size", b"9" * 5000)) + member("x", b"")), "not a number"),
        (archive(before=pax(("size", b"9" * 20)) + member("x", b"")), "truncated"),
        (archive(before=pax(("size", b"512"), kind=tarfile.XGLTYPE)), "one name or size to all"),
        (archive(before=pax(("path", b"a")) + pax(("path", b"b")) + member("x", b"")), "two names or sizes"),
        (archive(before=pax(("GNU.sparse.major", b"1"), ("path", b"x")) + member("x", b"")), "sparse"),
        (archive(before=sparse("x")), "'x' is a sparse file"),
        (archive(before=member("p", b"0 path=x\n", tarfile.XHDTYPE) + member("x", b"")), "malformed"),
        (archive(before=member("p", b"-9 path=x\n", tarfile.XHDTYPE) + member("x", b"")), "not a number"),
        (archive(before=member("p", b"99 path=x\n", tarfile.XHDTYPE) + member("x", b"")), "malformed"),
        (archive(before=member("p", b"7 pathx\n", tarfile.XHDTYPE) + member("x", b"")), "malformed"),
        (archive(before=member("p", b"\xff", tarfile.XHDTYPE) + member("x", b"")), "not a number"),
        (pax(("path", b"x")), "a member is missing"),
        (pax(("path", b"x")) + END, "a member is missing"),
        (archive(before=header("x", 0, tarfile.GNUTYPE_LONGNAME) * 2), "two names or sizes"),
        (archive(after=b"x" * BLOCK), "no header at byte"),
        *[
            (archive(layer=header(LAYER, 0, bytes([kind]), linkname="/etc")), "is a link, a directory or a device")
            for kind in b"123456"
        ],
        (archive(index=header("index.json", 0, tarfile.SYMTYPE, linkname="x")), "index.json is a link"),
        (archive(after=PARTS["index"]), "index.json is there twice"),
        (archive(after=member("./index.json", INDEXED)), "index.json is there twice"),
        (archive(after=PARTS["layer"]), "is there twice"),
        (archive(layer=b""), "neither the archive nor the repository has"),
        (archive(manifest=b""), "is missing"),
        (archive(layer=member(LAYER, b"other")), "is damaged"),
        (archive(index=b""), "it has no index.json"),
        (archive(marker=member("oci-layout", b"{}")), "not of version 1.0.0"),
        (archive(marker=member("oci-layout", DEEP)), "oci-layout is not JSON"),
        (archive(index=member("index.json", DEEP)), "index.json (is not JSON|has more than)"),
        (archive(index=member("index.json", b'{"a":' * 300_000)), "index.json (is not JSON|has more than)"),
        (archive(index=member("index.json", b"[" * 20_000)), "index.json is not JSON"),
        (archive(index=member("index.json", b"\xff")), "is not JSON"),
        (archive(index=member("index.json", b'{"manifests":' + b"9" * 5000 + b"}")), "is not JSON"),
        (archive(index=member("index.json", b"[]")), "is not a JSON object"),
        (archive(index=member("index.json", index() + b"x")), "is not JSON"),
        (archive(index=member("index.json", b'{"manifests":{}}' + b" " * 17_000_000)), "has 17000016 bytes, more than"),
        (archive(index=member("index.json", index(entry(MANIFEST, "\x1b[2J\n" * 9)))), "invalid repository name"),
        (archive(index=member("index.json", index(entry(MANIFEST, "a" * 9_000_000)))), "at most 255 characters"),
        (archive(index=member("index.json", index(entry(MANIFEST, "a:" + "b" * 9_000_000)))), "invalid tag"),
        (archive(index=member("index.json", index(entry(MANIFEST, "../../x:v1")))), "invalid repository name"),
        (archive(index=member("index.json", index(entry(MANIFEST), entry(b"{}")))), "two images that would be app:v1"),
        (archive(index=member("index.json", index(entry(b"layer")))), "not valid JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_published(archive_: bytes, expected: str) -> None:
    with pytest.raises(ArchiveError, match=expected) as caught:
        published(archive_)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2100


@pytest.mark.parametrize("listed", ["x", 5, {"a": 1}, True, {}, "", 0, False])
def test_an_index_whose_manifests_are_not_a_list_is_refused(listed: object) -> None:
    with pytest.raises(ArchiveError, match=r"^index\.json: manifests is not a list$"):
        published(archive(index=member("index.json", index(manifests=listed))))


@pytest.mark.parametrize(
    "described",
    [
        *[None, 5, "x", [], {}, {"digest": 5}, {"digest": "sha256:x"}, {"digest": "../../x"}, {"digest": None}],
        *[entry(MANIFEST, annotations=annotations) for annotations in ("x", [1], 5)],
        *[entry(MANIFEST, annotations={IMAGE_ANNOTATION: value}) for value in (5, ["a:v1"], {"a": 1}, True)],
        *[entry(MANIFEST, annotations={TAG_ANNOTATION: value}) for value in (5, ["v1"], {"a": 1}, True)],
    ],
)
def test_an_entry_that_is_malformed_is_named(described: object) -> None:
    with pytest.raises(ArchiveError, match=r"^index\.json: manifests\[1\]"):
        published(archive(index=member("index.json", index(entry(MANIFEST), described))))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        *[(value, "size is not an integer") for value in ("5", 5.0, True, None, [5], {"a": 5}, 1e400)],
        *[(value, "size is negative") for value in (-1, -(2**63))],
        *[(value, f"size is {value}, but sha256:.* has {len(MANIFEST)} bytes") for value in (0, 1, 2**64)],
    ],
)
def test_an_entry_whose_size_cannot_be_is_named(size: object, expected: str) -> None:
    indexed = index(entry(MANIFEST, size=size)).replace(b"Infinity", b"1e400")
    with pytest.raises(ArchiveError, match=rf"^index\.json: manifests\[0\]: {expected}$"):
        published(archive(index=member("index.json", indexed)))


def test_an_entry_that_does_not_state_its_size_is_imported() -> None:
    described = entry(MANIFEST)
    del described["size"]
    assert published(archive(index=member("index.json", index(described)))) == ["app:v1"]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_only_python_takes_for_a_number_is_refused(value: bytes) -> None:
    with pytest.raises(ArchiveError, match=rf"^index\.json is not JSON: {value.decode()} is not a number$"):
        published(archive(index=member("index.json", INDEXED[:-1] + b', "x": ' + value + b"}")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize(("part", "name"), [("index", "index.json"), ("marker", "oci-layout")])
def test_json_that_is_not_plain_utf_8_is_refused(part: str, name: str, encoding: str) -> None:
    text = {"index": INDEXED, "marker": MARKER}[part].decode()
    with pytest.raises(ArchiveError, match=rf"^{name} is not JSON: ") as caught:
        published(archive(**{part: member(name, text.encode(encoding))}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("indexed", [index(), b"{}", b'{"manifests":null}', b'{"manifests":[]}'])
def test_an_archive_that_lists_nothing_has_nothing_to_import(indexed: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"^nothing to import: index\.json lists no manifests$"):
        published(archive(index=member("index.json", indexed)))


@pytest.mark.parametrize(
    "archive_",
    [
        archive(),
        archive()[: -len(END)],
        archive(before=member("../../etc/passwd", b"x") + member("/etc/passwd", b"x")),
        archive(before=member("./a/../index.json", b"") + member("/index.json", b"") + member("../oci-layout", b"")),
        archive(before=header("dev", 0, tarfile.CHRTYPE) + header("link", 0, tarfile.SYMTYPE, linkname="/") * 2),
        archive(before=header("link", 5000, tarfile.LNKTYPE, linkname="/")),
        archive(before=member("blobs/sha256/x", b"x") + member("blobs/md5/" + "0" * 32, b"") + member("blobs", b"")),
        archive(before=member("manifest.json", b"[" * 5000) + member("repositories", b"")),
        archive(before=member("g", record("comment", b"x" * 5000), tarfile.XGLTYPE)),
        archive(before=member("k", b"x" * 5000, tarfile.GNUTYPE_LONGLINK) + header("link", 0, tarfile.SYMTYPE)),
        archive(before=pax(("mtime", b"1.5")) + pax(("mtime", b"2")) + member("x", b"")),
        archive(layer=pax(("path", LAYER.encode()), ("SCHILY.xattr.a", b"\n=\0")) + member("x", b"layer")),
        archive(layer=member("l", b"./" + LAYER.encode() + b"\0", tarfile.GNUTYPE_LONGNAME) + member("x", b"layer")),
        archive(layer=pax(("size", b"5")) + header(LAYER, 0) + b"layer" + bytes(BLOCK - 5)),
        archive(index=member("index.json", index(entry(MANIFEST), entry(MANIFEST)))),
    ],
)  # fmt: skip
def test_what_does_no_harm_is_left_alone(archive_: bytes) -> None:
    assert published(archive_) == ["app:v1"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_every_form_of_tar_are_read(form: int) -> None:
    layer = Digest.of(b"layer", "sha256" if form == tarfile.USTAR_FORMAT else "sha512")
    manifest = content.image(b"{}", layers=[{**content.descriptor(b"layer"), "digest": str(layer)}])
    stored = {
        "oci-layout": MARKER,
        "index.json": index(entry(manifest)),
        f"blobs/sha256/{Digest.of(manifest).hex}": manifest,
        f"blobs/sha256/{Digest.of(b'{}').hex}": b"{}",
        blob_name(layer): b"layer",
        "\u00fc" * 300 if form != tarfile.USTAR_FORMAT else "x": b"",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content_ in stored.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content_), 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(content_))
    assert published(buffer.getvalue()) == ["app:v1"]


def test_archive_of_an_old_docker_says_how_to_convert_it() -> None:
    with pytest.raises(ArchiveError, match=r"docker save before version 25.*: convert it with skopeo copy"):
        published(member("manifest.json", b"[]") + member("repositories", b"{}") + END)


def test_indexes_nested_thousands_deep_are_imported_children_first() -> None:
    manifests = [MANIFEST]
    for _ in range(3000):
        manifests.append(content.index(manifests=[content.descriptor(manifests[-1], media_types.OCI_INDEX)]))
    nested = b"".join(map(blob, manifests[1:]))
    assert published(archive(index=member("index.json", index(entry(manifests[-1]))), after=nested)) == ["app:v1"]


def test_a_blob_is_read_once_to_learn_its_type_however_many_entries_name_it() -> None:
    entries = [content.descriptor(b"layer", f"application/x.{number}") for number in range(20_000)]
    manifest = content.index(manifests=entries)
    assert published(archive(index=member("index.json", index(entry(manifest))), after=blob(manifest))) == ["app:v1"]


def test_an_entry_of_an_index_that_states_no_type_is_a_blob() -> None:
    manifest = content.index(manifests=[content.descriptor(each, "") for each in (b"layer", MANIFEST)])
    parts = archive(index=member("index.json", index(entry(manifest))), config=b"", after=blob(manifest))
    assert published(parts) == ["app:v1"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return the good archive after some changes, some of which keep the checksum of the header right."""
    content_ = bytearray(archive())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content_)))
        block = at // BLOCK * BLOCK
        change = draw(st.sampled_from(["flip", "cut", "drop", "repeat", "swap", "field", "insert"]))
        if change == "flip":
            content_[at : at + 1] = draw(st.binary(max_size=2))
        elif change == "cut":
            del content_[at:]
        elif change == "drop":
            del content_[block : block + BLOCK]
        elif change == "repeat":
            content_[block:block] = content_[block : block + BLOCK] * draw(st.integers(1, 3))
        elif change == "swap":
            content_ = content_[block:] + content_[:block]
        elif change == "field" and len(content_) >= block + BLOCK:
            start, length = draw(st.sampled_from([(0, 100), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155)]))
            value = draw(st.binary(max_size=length) | st.sampled_from([b"\xff" * 12, b"\x80" + b"\xff" * 11, b"x"]))
            header_ = content_[block : block + BLOCK]
            header_[start : start + length] = value[:length].ljust(length, b"\0")
            content_[block : block + BLOCK] = with_checksum(header_)
        else:
            records = st.tuples(st.sampled_from(["path", "size", "linkpath", "x"]), st.binary(max_size=12))
            kind = draw(st.sampled_from([b"x", b"g", b"L", b"K", b"S", b"V", b"M", b"D", b"X", b"1", b"7"]))
            content_[block:block] = pax(*draw(st.lists(records, max_size=3)), kind=kind)
    return bytes(content_)


@given(damaged())
def test_whatever_is_changed_it_is_imported_as_it_was_or_refused_in_one_line(archive_: bytes) -> None:
    tracemalloc.start()
    try:
        assert published(archive_) in ([], ["app:v1"])
    except ArchiveError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["digest", "annotations", "mediaType", "size"]),
        JSON | st.dictionaries(st.sampled_from([IMAGE_ANNOTATION, TAG_ANNOTATION]), JSON),
    )
)
def test_no_entry_makes_it_stumble(changes: dict[str, Any]) -> None:
    try:
        published(archive(index=member("index.json", index(entry(MANIFEST, **changes)))), "app")
    except ArchiveError:
        return
