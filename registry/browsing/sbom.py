"""A bill of materials: which packages are in an image (SPDX 2 and 3, CycloneDX, all as JSON)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.browsing.untrusted import Node

MOST_PACKAGES: Final = 20_000

_UNSAID: Final = frozenset({"", "NOASSERTION", "NONE"})
_MOST_LICENCES: Final = 10
_SPDX_3: Final = re.compile(r"spdx\.org/rdf/(3[^/]*)/")


@dataclass(frozen=True, slots=True)
class Package:
    """A package; `licences` is an expression, or names with commas between them, "" where nothing is said."""

    name: str
    version: str = ""
    purl: str = ""
    licences: str = ""

    @property
    def identity(self) -> str:
        """What stays the same when only the version changes."""
        return re.split("[@?#]", self.purl.replace("/@", "/%40"), maxsplit=1)[0] or self.name


@dataclass(frozen=True, slots=True)
class Bill:
    """What a bill of materials says. If there are more packages than MOST_PACKAGES, `cut` says so."""

    form: str
    name: str
    created: str
    tools: tuple[str, ...]
    packages: tuple[Package, ...]
    cut: bool = False


def bill(document: Node) -> Bill | None:
    """Return what `document` says if it is a bill of materials; None if it is not."""
    if document.text("spdxVersion").startswith("SPDX-"):
        return _spdx_2(document)
    if found := _SPDX_3.search(_context(document)):
        return _spdx_3(document, found[1])
    if document.text("bomFormat") == "CycloneDX":
        return _cyclonedx(document)
    return None


def _spdx_2(document: Node) -> Bill:
    creators = [each.text() for each in document.each("creationInfo", "creators")]
    return _bill(
        document.text("spdxVersion").replace("-", " ", 1),
        document.text("name"),
        document.text("creationInfo", "created"),
        (creator.removeprefix("Tool: ") for creator in creators if creator.startswith("Tool: ")),
        (
            Package(
                each.text("name"),
                each.text("versionInfo"),
                _purl(each.each("externalRefs"), "referenceType", "purl", "referenceLocator"),
                _said(each.text("licenseConcluded"), each.text("licenseDeclared")),
            )
            for each in document.each("packages")
            # It is the image itself.
            if each.text("primaryPackagePurpose") != "CONTAINER"
        ),
    )


def _spdx_3(document: Node, version: str) -> Bill:
    kinds: dict[str, list[Node]] = {}
    for each in document.each("@graph"):
        kinds.setdefault(each.text("type") or each.text("@type"), []).append(each)
    licences = _licences_of_spdx_3(kinds)
    described = next(iter(kinds.get("SpdxDocument", ())), document)
    return _bill(
        f"SPDX {version}",
        described.text("name"),
        next((each.text("created") for each in kinds.get("CreationInfo", ())), ""),
        (each.text("name") for each in kinds.get("Tool", ())),
        (
            Package(
                each.text("name"),
                each.text("software_packageVersion"),
                each.text("software_packageUrl")
                or _purl(each.each("externalIdentifier"), "externalIdentifierType", "packageUrl", "identifier"),
                licences.get(each.text("spdxId"), ""),
            )
            for each in kinds.get("software_Package", ())
            if each.text("software_primaryPurpose") != "container"
        ),
    )


def _licences_of_spdx_3(kinds: dict[str, list[Node]]) -> dict[str, str]:
    """Return the licences by the ids of packages; those that were concluded go before those that were declared."""
    expressions = {
        each.text("spdxId"): each.text("simplelicensing_licenseExpression")
        for each in kinds.get("simplelicensing_LicenseExpression", ())
    }
    found: dict[str, str] = {}
    for relationship in ("hasDeclaredLicense", "hasConcludedLicense"):
        for each in kinds.get("Relationship", ()):
            if each.text("relationshipType") == relationship:
                texts = [expressions.get(to.text(), "") for to in islice(each.each("to"), _MOST_LICENCES)]
                if said := ", ".join(text for text in texts if text not in _UNSAID):
                    found[each.text("from")] = said
    return found


def _cyclonedx(document: Node) -> Bill:
    subject = document.at("metadata", "component")
    tools = [*document.each("metadata", "tools"), *document.each("metadata", "tools", "components")]
    return _bill(
        f"CycloneDX {document.text('specVersion')}".rstrip(),
        subject.text("name"),
        document.text("metadata", "timestamp"),
        (f"{each.text('name')} {each.text('version')}".strip() for each in tools),
        (
            Package(
                "/".join(part for part in (each.text("group"), each.text("name")) if part),
                each.text("version"),
                each.text("purl"),
                ", ".join(islice(_licences_of_cyclonedx(each), _MOST_LICENCES)),
            )
            for each in _components(document)
            if each.text("type") != "file"
        ),
    )


def _components(document: Node) -> Iterator[Node]:
    """Yield the components, each before those that it is made of."""
    waiting = [document.each("components")]
    while waiting:
        component = next(waiting[-1], None)
        if component is None:
            waiting.pop()
            continue
        yield component
        waiting.append(component.each("components"))


def _licences_of_cyclonedx(component: Node) -> Iterator[str]:
    for each in component.each("licenses"):
        if said := _said(each.text("expression"), each.text("license", "id"), each.text("license", "name")):
            yield said


def _bill(form: str, name: str, created: str, tools: Iterable[str], packages: Iterable[Package]) -> Bill:
    named = (package for package in packages if package.name)
    kept = tuple(islice(named, MOST_PACKAGES))
    return Bill(form, name, created, tuple(islice(filter(None, tools), 10)), kept, cut=next(named, None) is not None)


def _purl(references: Iterator[Node], kind: str, wanted: str, locator: str) -> str:
    return next((each.text(locator) for each in references if each.text(kind) == wanted), "")


def _said(*texts: str) -> str:
    return next((text for text in texts if text not in _UNSAID), "")


def _context(document: Node) -> str:
    context = document.at("@context")
    return context.text() or next((each.text() for each in context.each()), "")
