"""What the doctor finds, and how it says so."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from registry.foundation.printable import printable
from registry.foundation.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHECK_WIDTH: Final = len("header on 404")
"""The longest name of a check: the column is set before all are known."""


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, what was found, and what to change if it is not well.

    What was found may repeat what a server said, without its secrets.
    """

    check: str
    status: Status
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", printable(redacted(self.found)))


def well(check: str, found: str) -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(check, Status.OK, found)


def odd(check: str, found: str, advice: str) -> Finding:
    """Return a finding that some clients, or some day all, will stumble over."""
    return Finding(check, Status.WARNING, found, advice)


def wrong(check: str, found: str, advice: str) -> Finding:
    """Return a finding that clients do stumble over."""
    return Finding(check, Status.FAILURE, found, advice)


def skipped(check: str, found: str, advice: str = "") -> Finding:
    """Return that it could not be looked at."""
    return Finding(check, Status.SKIPPED, found, advice)


def as_text(finding: Finding) -> str:
    """Return a finding for people; what to change stands below what was found."""
    text = f"{finding.status:<8} {finding.check:<{_CHECK_WIDTH}}  {finding.found}"
    return f"{text}\n{'':<8} {'':<{_CHECK_WIDTH}}  -> {finding.advice}" if finding.advice else text


def as_json(url: str, findings: Sequence[Finding]) -> str:
    """Return the findings for scripts."""
    return json.dumps({"url": url, "healthy": healthy(findings), "findings": [asdict(each) for each in findings]})


def healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing is wrong."""
    return all(finding.status is not Status.FAILURE for finding in findings)
