"""What is attached to an image, wherever tools put it: referrers, tags of cosign, attestations in the image's index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.browsing.documents import attachment
from registry.browsing.manifest import ATTESTATION, REFERENCE_TYPE
from registry.browsing.referrers import references
from registry.browsing.untrusted import LARGEST, Allowance, Node, UnreadableError
from registry.foundation.recent import RecentlyUsed, RecentlyUsedByWeight
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from registry.browsing.documents import Attachment
    from registry.browsing.sbom import Bill
    from registry.browsing.shapes import Attached
    from registry.browsing.vulnerabilities import Severity
    from registry.inventory.source import Reader

_REFERENCE_DIGEST: Final = "vnd.docker.reference.digest"

_MOST_REFERRERS: Final = 50
_MOST_LOOKS: Final = 8
_SMALL: Final = 4 * 1024 * 1024
"""Bytes that are read of what is attached for a summary."""

_REMEMBERED: Final = 64 * 1024 * 1024
_ROW_BYTES: Final = 500
"""What a package takes in memory without its texts, and what all attachments take that are remembered."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an attachment says in short: the `kinds` of its parts, and of each kind what counts.

    `packages` and `severities` are None where there is no bill of materials and no list of vulnerabilities.
    """

    digest: Digest
    kinds: tuple[Attached, ...]
    packages: int | None = None
    severities: Mapping[Severity, int] | None = None
    builder: str = ""
    source: str = ""
    signer: str = ""
    predicates: tuple[str, ...] = ()


class Summaries:
    """Summaries of attachments. What was looked at last is remembered: what a digest stands for never changes."""

    def __init__(self) -> None:
        self._known: RecentlyUsed[tuple[str, Digest], Summary] = RecentlyUsed()

    def of(self, source: Reader, repository: str, digests: Iterable[Digest]) -> list[Summary]:
        """Return the summaries of those that are there, in order, of which only a few are read that are not known yet.

        Raises:
            InventoryError: they cannot be read.
        """
        found: list[Summary] = []
        looks = _MOST_LOOKS
        for digest in dict.fromkeys(digests):
            summary = self._known.get((repository, digest))
            if summary is None and looks:
                looks -= 1
                read = attachment(source, repository, digest, _SMALL)
                if read:
                    summary = summarize(read)
                    self._known.put((repository, digest), summary)
            if summary:
                found.append(summary)
        return found


class Attachments:
    """The attachments that were looked at last. What a digest stands for never changes, but it may be deleted."""

    def __init__(self) -> None:
        self._known: RecentlyUsedByWeight[tuple[str, Digest], Attachment] = RecentlyUsedByWeight(_REMEMBERED, _weight)

    def get(self, source: Reader, repository: str, digest: Digest) -> Attachment | None:
        """Return what is told of the manifest `digest`; None if it is not there, or is not a manifest.

        Raises:
            InventoryError: it cannot be read.
        """
        key = repository, digest
        known = self._known.get(key)
        if known:
            return known if source.has(repository, digest) else None
        read = attachment(source, repository, digest)
        if read and not read.is_incomplete:
            self._known.put(key, read)
        return read


def _weight(read: Attachment) -> int:
    """Return about how many bytes of memory an attachment takes."""
    documents = [part.document for part in read.parts]
    rows = sum(len(each.bill.packages) for each in documents if each.bill)
    rows += sum(len(each.vulnerabilities.found) for each in documents if each.vulnerabilities)
    texts = sum(2 * part.size + len(part.document.raw) for part in read.parts if not part.document.problem)
    return _ROW_BYTES * (len(documents) + rows + 1) + texts


def summarize(read: Attachment) -> Summary:
    """Return what an attachment says in short."""
    documents = [part.document for part in read.parts]
    bills = [each.bill for each in documents if each.bill]
    vulnerabilities = next((each.vulnerabilities for each in documents if each.vulnerabilities), None)
    provenance = next((each.provenance for each in documents if each.provenance), None)
    return Summary(
        read.digest,
        tuple(dict.fromkeys(each.kind for each in documents)),
        max(len(bill.packages) for bill in bills) if bills else None,
        vulnerabilities.counts if vulnerabilities else None,
        provenance.builder if provenance else "",
        provenance.source if provenance else "",
        next((each.signature.signer for each in documents if each.signature), ""),
        tuple(dict.fromkeys(each.predicate_type for each in documents if each.predicate_type)),
    )


def attached_to(source: Reader, repository: str, digest: Digest) -> list[Digest]:
    """Return the manifests that are attached to one: referrers, tags of cosign, the attestations of an index.

    Raises:
        InventoryError: they cannot be found.
    """
    referring = references(source, repository, digest, depth=1, limit=_MOST_REFERRERS).roots
    return [*dict.fromkeys((*(each.digest for each in referring), *attestations(source, repository, digest)))]


def attestations(source: Reader, repository: str, index: Digest, image: Digest | None = None) -> Iterator[Digest]:
    """Yield the attestations in an index, as BuildKit puts them there: those of `image`, or all of them."""
    stored = source.manifest(repository, index)
    try:
        document = Node.parse(stored.content if stored else b"{}")
    except UnreadableError:
        return
    for entry in document.each("manifests"):
        said = entry.at("annotations")
        if said.text(REFERENCE_TYPE) == ATTESTATION and image in {None, _digest(said.text(_REFERENCE_DIGEST))}:
            digest = _digest(entry.text("digest"))
            if digest:
                yield digest


def bill_of(source: Reader, repository: str, image: Digest, index: Digest | None = None) -> Bill | None:
    """Return the first bill of materials that is attached to `image`, which `index` may name; None if there is none.

    Raises:
        InventoryError: it cannot be read.
    """
    referring = references(source, repository, image, depth=1, limit=_MOST_REFERRERS).roots
    # What says that it is one goes first; what says nothing of itself may be one, too.
    candidates = [each.digest for each in referring if each.kind == "sbom"]
    candidates += attestations(source, repository, index, image) if index else ()
    candidates += [each.digest for each in referring if each.kind in {"provenance", "other"}]
    values = Allowance()
    for digest in candidates[:_MOST_LOOKS]:
        read = attachment(source, repository, digest, LARGEST, values)
        bill = next((part.document.bill for part in read.parts if part.document.bill), None) if read else None
        if bill:
            return bill
    return None


def _digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except DigestInvalidError:
        return None
