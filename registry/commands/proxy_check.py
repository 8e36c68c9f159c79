"""What ``registry proxy check`` finds of each upstream, and how it says so."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from registry.commands.progress import StatusLine
from registry.foundation.errors import ParameterError
from registry.foundation.printable import printable
from registry.oci.errors import UpstreamError
from registry.upstream.client import Upstream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from registry.config.upstreams import Upstream as Settings
    from registry.upstream.client import Standing

_WIDTH = 20


@dataclass(frozen=True, slots=True)
class _Found:
    """How an upstream stands, or why it cannot be used."""

    name: str
    standing: Standing | None
    error: str = ""

    def told(self) -> dict[str, Any]:
        """Return it for scripts."""
        told: dict[str, Any] = {"upstream": self.name, "usable": self.standing is not None, "error": self.error}
        if self.standing:
            told |= {
                "login": self.standing.scheme,
                "token_service": self.standing.token_service,
                "user": self.standing.user,
                "limit": self.standing.limit,
                "remaining": self.standing.remaining,
            }
        return told

    def __str__(self) -> str:
        if not self.standing:
            return printable(f"{'failure':<8} {self.name:<{_WIDTH}}  {self.error}")
        parts = [_login(self.standing)]
        if self.standing.remaining is not None:
            of = f" of {self.standing.limit}" if self.standing.limit is not None else ""
            parts.append(f"{self.standing.remaining}{of} pulls are left")
        return printable(f"{'ok':<8} {self.name:<{_WIDTH}}  {'; '.join(parts)}")


def check(upstreams: Sequence[Settings], *, in_json: bool) -> bool:
    """Print how each upstream stands; tell whether all can be used."""
    found = []
    with StatusLine() as line:
        for settings in upstreams:
            line.show(f"asking {settings.name}")
            found.append(_asked(settings))
            if not in_json:
                line.clear()
                click.echo(str(found[-1]))
    if in_json:
        click.echo(json.dumps([each.told() for each in found]))
    return all(each.standing for each in found)


def _asked(settings: Settings) -> _Found:
    try:
        with closing(Upstream(settings)) as upstream:
            return _Found(settings.name, upstream.check())
    except UpstreamError as error:
        return _Found(settings.name, None, error.message)
    except ParameterError as error:
        return _Found(settings.name, None, str(error))


def _login(standing: Standing) -> str:
    whom = f"as {standing.user}" if standing.user else "as nobody in particular"
    match standing.scheme:
        case "":
            return "lets everybody in"
        case "bearer":
            return f"lets us in {whom}, by tokens of {standing.token_service}"
        case _:
            return f"lets us in {whom}"
