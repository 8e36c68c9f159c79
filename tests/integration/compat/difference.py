"""What a documented difference consists of, and the ones that come up again and again."""

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
    """Give what differs where the Go router says in plain text what we say in the specification's JSON."""
    return {"Content-Type": ("text/plain", JSON), "body": ("text", f"errors {code}")}


def client_error(code: str) -> Fields:
    """Give what differs where the Go registry takes the blame for what the client sent."""
    return {"status": ("500", "400"), "body": ("errors UNKNOWN", f"errors {code}")}


def invalid(code: str) -> Fields:
    """Give what differs where the Go router does not know what we refuse by its code."""
    return {"status": ("404", "400")} | in_json(code)


def wrong_method(theirs: str, ours: str) -> Fields:
    return {"Allow": (theirs, ours)} | in_json("UNSUPPORTED")
