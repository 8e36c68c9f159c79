"""What scanners have found in an image, as CycloneDX, SARIF, or what Trivy and Grype write. Nobody has verified it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from registry.browsing.untrusted import Node

Severity = Literal["critical", "high", "medium", "low", "negligible", "unknown"]

SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "high", "medium", "low", "negligible", "unknown")
"""The worst first."""

MOST_SHOWN: Final = 1000

_SPELLINGS: Final[Mapping[str, Severity]] = {
    **{severity: severity for severity in SEVERITIES},
    "moderate": "medium",
    "important": "high",
    "info": "negligible",
    "informational": "negligible",
    "none": "negligible",
    # Levels of SARIF.
    "error": "high",
    "warning": "medium",
    "note": "low",
}
_SCORES: Final[tuple[tuple[float, Severity], ...]] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
"""The lowest score of each severity (CVSS 3.1, section 5)."""

_RULED_OUT: Final = frozenset({"not_affected", "false_positive", "resolved", "resolved_with_pedigree", "fixed"})
_SARIF: Final = "SARIF"


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A finding; texts are "" where nothing is said."""

    name: str
    severity: Severity
    package: str = ""
    version: str = ""
    fixed: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Vulnerabilities:
    """What a scanner has found. `counts` has the severities that there are, the worst first.

    `found` are the worst of them, at most MOST_SHOWN; `ruled_out` are those of which the document says that they do no
    harm here, which are not counted.
    """

    form: str
    scanner: str
    created: str
    counts: Mapping[Severity, int]
    found: tuple[Vulnerability, ...]
    ruled_out: int = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


def vulnerabilities(document: Node) -> Vulnerabilities | None:
    """Return what `document` says if it is what a scanner has found; None if it is not."""
    if document.at("scanner").has("result"):
        return _scanned(document)
    return _of_scanner(document)


def _of_scanner(document: Node) -> Vulnerabilities | None:
    return next((read(document) for fits, read in _FORMS if fits(document)), None)


def _cyclonedx(document: Node) -> Vulnerabilities:
    packages = {each.text("bom-ref"): each for each in document.each("components")}
    tools = chain(document.each("metadata", "tools"), document.each("metadata", "tools", "components"))
    ruled_out = 0
    found: list[Vulnerability] = []
    for each in document.each("vulnerabilities"):
        if each.text("analysis", "state") in _RULED_OUT:
            ruled_out += 1
            continue
        severity = _worst(_severity(rating.text("severity"), rating.number("score")) for rating in each.each("ratings"))
        title = each.text("description")
        affected = [affects.text("ref") for affects in each.each("affects")] or [""]
        for ref in affected:
            package = packages.get(ref)
            name, version = (package.text("name"), package.text("version")) if package else (ref, "")
            found.append(Vulnerability(each.text("id"), severity, name, version, title=title))
    return _counted("CycloneDX", _named(next(tools, None)), document.text("metadata", "timestamp"), found, ruled_out)


def _sarif(document: Node) -> Vulnerabilities:
    runs = [*document.each("runs")]
    found: list[Vulnerability] = []
    for run in runs:
        rules = {rule.text("id"): rule for rule in run.each("tool", "driver", "rules")}
        for result in run.each("results"):
            name = result.text("ruleId") or result.text("rule", "id")
            rule = rules.get(name)
            score = rule.number("properties", "security-severity") if rule else None
            level = result.text("level") or (rule.text("defaultConfiguration", "level") if rule else "")
            title = (rule.text("shortDescription", "text") if rule else "") or result.text("message", "text")
            place = next(
                (each.text("physicalLocation", "artifactLocation", "uri") for each in result.each("locations")), ""
            )
            # SARIF has no word for where the level is not given, but a rule: it is a warning then.
            found.append(Vulnerability(name, _severity(level or "warning", score), package=place, title=title))
    tool = next((run.at("tool", "driver") for run in runs), None)
    return _counted(_SARIF, _named(tool), "", found)


def _trivy(document: Node) -> Vulnerabilities:
    found = [
        Vulnerability(
            each.text("VulnerabilityID"),
            _severity(each.text("Severity")),
            each.text("PkgName"),
            each.text("InstalledVersion"),
            each.text("FixedVersion"),
            each.text("Title"),
        )
        for result in document.each("Results")
        for each in result.each("Vulnerabilities")
    ]
    return _counted("Trivy", "Trivy", document.text("CreatedAt"), found)


def _grype(document: Node) -> Vulnerabilities:
    found = [
        Vulnerability(
            each.text("vulnerability", "id"),
            _severity(each.text("vulnerability", "severity")),
            each.text("artifact", "name"),
            each.text("artifact", "version"),
            ", ".join(fix.text() for fix in islice(each.each("vulnerability", "fix", "versions"), 3)),
            each.text("vulnerability", "description"),
        )
        for each in document.each("matches")
    ]
    return _counted("Grype", _named(document.at("descriptor")), document.text("descriptor", "timestamp"), found)


def _scanned(document: Node) -> Vulnerabilities:
    """Return what a predicate of a scan says: cosign's has the scanner's own document in it, in-toto's has a list."""
    scanner = document.text("scanner", "uri") or document.text("scanner", "name")
    created = document.text("metadata", "scanFinishedOn")
    inner = _of_scanner(document.at("scanner", "result"))
    if inner:
        return Vulnerabilities(
            inner.form,
            scanner or inner.scanner,
            created or inner.created,
            inner.counts,
            inner.found,
            inner.ruled_out,
        )
    found = [
        Vulnerability(
            each.text("id"), _worst(_severity("", rating.number("score")) for rating in each.each("severity"))
        )
        for each in document.each("scanner", "result")
    ]
    return _counted("in-toto", scanner, created, found)


def _openvex(document: Node) -> Vulnerabilities:
    found: list[Vulnerability] = []
    ruled_out = 0
    for each in document.each("statements"):
        if each.text("status") in _RULED_OUT:
            ruled_out += 1
            continue
        name = each.text("vulnerability", "name") or each.text("vulnerability")
        products = [product.text("@id") or product.text() for product in each.each("products")] or [""]
        found += [Vulnerability(name, "unknown", package, title=each.text("status")) for package in products]
    return _counted("OpenVEX", document.text("author"), document.text("timestamp"), found, ruled_out)


_FORMS: Final[tuple[tuple[Callable[[Node], bool], Callable[[Node], Vulnerabilities]], ...]] = (
    (lambda document: document.text("bomFormat") == "CycloneDX" and document.has("vulnerabilities"), _cyclonedx),
    (lambda document: document.has("version", "runs"), _sarif),
    (lambda document: document.has("SchemaVersion", "Results"), _trivy),
    (lambda document: document.has("matches", "descriptor"), _grype),
    (lambda document: document.has("statements") and "openvex" in document.text("@context"), _openvex),
)


def _counted(form: str, scanner: str, created: str, found: list[Vulnerability], ruled_out: int = 0) -> Vulnerabilities:
    # Scanners tell of a package once for each place where it is.
    distinct = dict.fromkeys(each for each in found if each.name)
    ordered = sorted(distinct, key=lambda each: SEVERITIES.index(each.severity))
    counts = Counter(each.severity for each in ordered)
    in_order = {severity: counts[severity] for severity in SEVERITIES if counts[severity]}
    return Vulnerabilities(form, scanner, created, in_order, tuple(ordered[:MOST_SHOWN]), ruled_out)


def _severity(word: str, score: float | None = None) -> Severity:
    """Return the severity that a score stands for, or else a word."""
    if score is not None:
        return next((severity for least, severity in _SCORES if score >= least), "negligible")
    return _SPELLINGS.get(word.lower(), "unknown")


def _worst(severities: Iterator[Severity]) -> Severity:
    return min(severities, key=SEVERITIES.index, default="unknown")


def _named(tool: Node | None) -> str:
    return f"{tool.text('name')} {tool.text('version')}".strip() if tool else ""
