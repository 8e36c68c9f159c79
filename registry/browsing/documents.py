"""What is told of a document that is attached to an image: packages, provenance, vulnerabilities, a signature, a text.

What a document is, its content says: media types of attached documents differ from tool to tool, and may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Final

from registry.browsing import signatures
from registry.browsing.foreign import escaped
from registry.browsing.provenance import Provenance, provenance
from registry.browsing.referrers import attached_as
from registry.browsing.sbom import Bill, bill
from registry.browsing.untrusted import LARGEST, Allowance, Node, UnreadableError
from registry.browsing.vulnerabilities import Vulnerabilities, vulnerabilities
from registry.foundation.printable import printable
from registry.oci.errors import ManifestInvalidError
from registry.oci.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.browsing.shapes import Attached
    from registry.browsing.signatures import Signature
    from registry.inventory.source import Reader
    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor, Manifest

README: Final = "readme.md"
TITLE: Final = "org.opencontainers.image.title"

_STATEMENT: Final = "https://in-toto.io/Statement/"
_MOST_PARTS: Final = 20
_MOST_SUBJECTS: Final = 20
_MOST_RAW: Final = 200_000


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says: it is one of `bill`, `provenance`, `vulnerabilities`, and may come with a `signature`.

    A bill of materials may have vulnerabilities, too. `predicate_type` and `subjects` are those of an in-toto
    statement. `raw` is the document, readable by people, and cut where it is long. `problem` is why nothing is told
    ("" if it was read), in words that go on after "it".
    """

    kind: Attached = "other"
    predicate_type: str = ""
    subjects: tuple[str, ...] = ()
    bill: Bill | None = None
    provenance: Provenance | None = None
    vulnerabilities: Vulnerabilities | None = None
    signature: Signature | None = None
    raw: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A blob of what is attached. `size` is in bytes, `title` the name of its file where an annotation says so."""

    media_type: str
    digest: Digest
    size: int
    title: str
    document: Document


@dataclass(frozen=True, slots=True)
class Attachment:
    """A manifest that is attached to another, and its parts.

    `cut` is whether there are more of them, `is_incomplete` whether the content of one is not here.
    """

    digest: Digest
    artifact_type: str
    subject: Digest | None
    annotations: Mapping[str, str]
    parts: tuple[Part, ...]
    cut: bool = False
    is_incomplete: bool = False


def attachment(
    source: Reader, repository: str, digest: Digest, budget: int = LARGEST, values: Allowance | None = None
) -> Attachment | None:
    """Return what is told of the manifest `digest` and of its parts; None if it is not there, or is not a manifest.

    No more than `budget` bytes of its parts are read, and no more `values`; of those beyond, nothing is told.
    """
    values = values or Allowance()
    stored = source.manifest(repository, digest)
    manifest = _manifest(stored.content) if stored else None
    if stored is None or manifest is None:
        return None
    parts: list[Part] = []
    is_incomplete = False
    for blob, said in islice(annotated_blobs(stored.content), _MOST_PARTS):
        content = source.small_blob(repository, blob.digest, budget) if blob.size <= budget else None
        budget -= len(content or b"")
        parts.append(_part(blob, said, content, values, is_too_large=blob.size > budget))
        is_incomplete |= content is None and blob.size <= budget
    return Attachment(
        digest,
        printable(manifest.artifact_type),
        manifest.subject.digest if manifest.subject else None,
        {printable(name): printable(value) for name, value in manifest.annotations.items()},
        tuple(parts),
        cut=len(manifest.blobs) > _MOST_PARTS,
        is_incomplete=is_incomplete,
    )


def annotated_blobs(content: bytes) -> Iterator[tuple[Descriptor, Mapping[str, str]]]:
    """Yield the blobs that a manifest names, each with the annotations of its descriptor; none if it is not one."""
    manifest = _manifest(content)
    if manifest is None:
        return
    try:
        document = Node.parse(content)
    except UnreadableError:
        document = Node(None)
    described = chain(document.each("layers"), document.each("blobs"), repeat(Node(None)))
    for blob, node in zip(manifest.blobs, described, strict=False):
        annotations = node.at("annotations").value
        texts = annotations.items() if isinstance(annotations, dict) else ()
        yield blob, {name: value for name, value in texts if isinstance(value, str)}


def guessed_kind(media_type: str, annotations: Mapping[str, str]) -> Attached:
    """Return what a type and annotations let expect of a document; what it is, its content says."""
    if signatures.COSIGN_SIGNATURE in annotations or media_type == signatures.COSE:
        return "signature"
    if annotations.get(TITLE, "").lower() == README:
        return "readme"
    return attached_as(media_type.lower(), annotations)


def _manifest(content: bytes) -> Manifest | None:
    try:
        return read_stored(content)
    except ManifestInvalidError:
        return None


def _part(
    blob: Descriptor, said: Mapping[str, str], content: bytes | None, values: Allowance, *, is_too_large: bool
) -> Part:
    if content is not None:
        document = explain(content, blob.media_type, said, values)
    else:
        problem = (
            "is too large to be explained here" if is_too_large else "is not here, or not of the size that is said"
        )
        document = Document(guessed_kind(blob.media_type, said), problem=problem)
    return Part(printable(blob.media_type), blob.digest, blob.size, printable(said.get(TITLE, "")), document)


def explain(
    content: bytes,
    media_type: str = "",
    annotations: Mapping[str, str] | None = None,
    values: Allowance | None = None,
) -> Document:
    """Return what is told of a document; `annotations` are those of the descriptor that names it. Never raises.

    No more `values` are read.
    """
    annotations = annotations or {}
    values = values or Allowance()
    guessed = guessed_kind(media_type, annotations)
    try:
        document = Node.parse(content, values)
    except UnreadableError as error:
        is_text = media_type.startswith("text/")
        raw = _lines(content) if is_text else ""
        return Document(kind=guessed, raw=raw, problem="" if is_text or guessed == "signature" else str(error))
    return replace(_told(document, guessed, annotations, values), raw=document.indented(_MOST_RAW))


def _told(document: Node, guessed: Attached, annotations: Mapping[str, str], values: Allowance) -> Document:
    signature = (
        signatures.simple_signing(document, annotations) or signatures.bundle(document) or signatures.notation(document)
    )
    try:
        statement = _in_envelope(document, values)
    except UnreadableError as error:
        return Document(kind=guessed, signature=signature, problem=f"has an envelope whose content {error}")
    if not statement.text("_type").startswith(_STATEMENT):
        return _content(statement, Document(kind="signature" if signature else guessed, signature=signature))
    known = Document(
        kind="other",
        predicate_type=statement.text("predicateType"),
        subjects=tuple(_subject(each) for each in islice(statement.each("subject"), _MOST_SUBJECTS)),
        signature=signature,
    )
    try:
        predicate = _predicate(statement, values)
    except UnreadableError as error:
        return replace(known, problem=f"has a predicate that {error}")
    told = _content(predicate, known)
    return told if told.kind != "other" else replace(told, kind=guessed_kind(known.predicate_type, annotations))


def _content(document: Node, known: Document) -> Document:
    """Return `known` with what `document` says, which is in no envelope."""
    if said := provenance(known.predicate_type, document):
        return replace(known, kind="provenance", provenance=said)
    packages, found = bill(document), vulnerabilities(document)
    if found and not (packages and packages.packages):
        return replace(known, kind="vulnerabilities", vulnerabilities=found)
    if packages:
        return replace(known, kind="sbom", bill=packages, vulnerabilities=found)
    return known


def _in_envelope(document: Node, values: Allowance) -> Node:
    """Return what is in a DSSE envelope, or in one in a bundle of sigstore; the document itself if it is neither.

    Raises:
        UnreadableError: it cannot be read.
    """
    envelope = document.at("dsseEnvelope") if document.has("dsseEnvelope") else document
    if not envelope.has("payloadType", "payload"):
        return document
    return Node.parse(signatures.decoded(envelope.at("payload")), values)


def _predicate(statement: Node, values: Allowance) -> Node:
    """Return the predicate of a statement; cosign puts that which it does not know into a text.

    Raises:
        UnreadableError: it is such a text, which is not JSON.
    """
    predicate = statement.at("predicate")
    packed = predicate.at("Data").value
    return Node.parse(packed.encode("utf-8", "replace"), values) if isinstance(packed, str) else predicate


def _lines(content: bytes) -> str:
    """Return the beginning of a text, with escapes for what is not printable in it."""
    return escaped(content[:_MOST_RAW].decode("utf-8", "replace").replace("\r\n", "\n").expandtabs(4))


def _subject(subject: Node) -> str:
    digest = next((f"{algorithm}:{value.text()}" for algorithm, value in subject.members("digest")), "")
    return " ".join(part for part in (subject.text("name"), digest) if part)
