"""What ``registry garbage-collect --explain`` prints: why a digest is kept, or when it may go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from registry.commands.printing import print_json_array
from registry.foundation.times import rfc3339
from registry.lifecycle.explaining import Root, Verdict
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from registry.lifecycle.explaining import Explanation, Way
    from registry.lifecycle.findings import Findings

_KINDS: Final = {"blob": "layer", "foreign": "layer"}
"""What a kind is called, where not by its name."""


class DigestParameter(click.ParamType[Digest]):
    """A digest of the command line."""

    name = "digest"

    def convert(self, value: str | Digest, param: click.Parameter | None, context: click.Context | None) -> Digest:
        """Return the digest."""
        if isinstance(value, Digest):
            return value
        try:
            return Digest.parse(value)
        except DigestInvalidError:
            self.fail(f"{value!r} is not a digest such as sha256:9f86d081...", param, context)


def print_explanation(findings: Findings, digest: Digest, *, now: float, waits: float, in_json: bool) -> None:
    """Print why a garbage collection with these findings keeps a digest, or when it may go.

    `waits` is how many seconds the collection leaves between condemning a link and deleting the bytes.
    """
    explanation = findings.explain(digest)
    after = _may_go_after(explanation, now, waits)
    if in_json:
        told = json.dumps({key: value for key, value in _facts(explanation, after).items() if value is not None})
        losing = ({"repository": name, "kind": kind} for name, kind in findings.losing(digest))
        print_json_array(losing, before=f'{told[:-1]}, "loose_links": ', after="}\n")
        return
    click.echo(f"{digest} {_in_words(explanation, after, now)}")
    for name, kind in findings.losing(digest):
        click.echo(f"{name}: nothing leads to its {kind} link, which may go")


def _may_go_after(explanation: Explanation, now: float, waits: float) -> float | None:
    """Return when the bytes may be deleted, in seconds since the epoch; None if they stay or are not there."""
    if explanation.verdict is Verdict.CONDEMNED and explanation.since is not None:
        return explanation.since + waits
    if explanation.verdict is Verdict.UNREFERENCED:
        return now + waits
    way = explanation.way
    if explanation.verdict is Verdict.YOUNG and way and way.written is not None and way.limit is not None:
        return now + way.written - way.limit + waits
    return None


def _in_words(explanation: Explanation, after: float | None, now: float) -> str:
    way = _way_in_words(explanation.way) if explanation.way else ""
    goes = "may go now" if after is None or after <= now else f"may go after {rfc3339(after)}"
    match explanation.verdict:
        case Verdict.KEPT:
            return f"stays: {way}"
        case Verdict.YOUNG:
            return f"stays because it is young, and {goes}: {way}"
        case Verdict.CONDEMNED:
            return f"was condemned at {rfc3339(explanation.since or 0)} and {goes}"
        case Verdict.UNREFERENCED:
            return f"{goes}: nothing leads to it"
        case Verdict.ABSENT:
            return f"is not stored, but is named: {way}" if way else "is not stored"


def _way_in_words(way: Way) -> str:
    root = {
        Root.TAG: f"{way.repository}:{way.tag}",
        Root.REVISION: f"{way.repository}, which keeps all manifests",
        Root.UNREADABLE: f"{way.repository}, which has a manifest that cannot be read",
        Root.YOUNG: f"{way.repository or 'the bytes'}, written at {rfc3339(way.written or 0)}",
    }[way.root]
    return " -> ".join((root, *(f"{_KINDS.get(step.kind, step.kind)} {step.digest}" for step in way.steps)))


def _facts(explanation: Explanation, after: float | None) -> dict[str, Any]:
    way = explanation.way
    path = way and {
        "root": way.root,
        "repository": way.repository,
        "tag": way.tag,
        "written": None if way.written is None else rfc3339(way.written),
        "steps": [{"kind": _KINDS.get(step.kind, step.kind), "digest": str(step.digest)} for step in way.steps],
    }
    return {
        "digest": str(explanation.digest),
        "verdict": explanation.verdict,
        "since": None if explanation.since is None else rfc3339(explanation.since),
        "may_go_after": None if after is None else rfc3339(after),
        "path": path and {key: value for key, value in path.items() if value},
    }
