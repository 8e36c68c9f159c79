"""A documented difference, and the kinds that occur often."""

from __future__ import annotations

from dataclasses import dataclass

Fields = dict[str, tuple[str | None, str | None]]

JSON = "application/json"
UPLOAD = "/v2/up/blobs/uploads/<id>?_state=<state>"


@dataclass(frozen=True, slots=True)
class Difference:
    """`fields` maps what differs to (the Go registry's, ours); None where it is absent."""

    why: str
    fields: Fields


def in_json(code: str) -> Fields:
    """Give what differs where the Go router answers in plain text and we in the specification's JSON."""
    return {"Content-Type": ("text/plain", JSON), "body": ("text", f"errors {code}")}


def client_error(code: str) -> Fields:
    """Give what differs where the Go registry answers a client's mistake with 500."""
    return {"status": ("500", "400"), "body": ("errors UNKNOWN", f"errors {code}")}


def invalid(code: str) -> Fields:
    """Give what differs where the Go router has no route and we answer with the error's code."""
    return {"status": ("404", "400")} | in_json(code)


def wrong_method(theirs: str, ours: str) -> Fields:
    return {"Allow": (theirs, ours)} | in_json("UNSUPPORTED")
