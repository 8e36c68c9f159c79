"""All checks in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.doctor import front
from registry.doctor.client import UNAUTHORIZED, UnreachableError
from registry.doctor.findings import wrong
from registry.doctor.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.doctor.client import Deployment
    from registry.doctor.findings import Finding


def examine(
    deployment: Deployment, *, size: int, pause_seconds: float, begin: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield each finding as soon as it is known; it ends where nothing more can be found out.

    `begin` is told what is looked at from now on, which may take a while.
    """
    begin(f"connecting to {deployment.url}")
    yield from front.tls(deployment)
    try:
        yield from _examine(deployment, size, pause_seconds, begin)
    except UnreachableError as error:
        yield wrong("reach", str(error), "is this the URL that clients use, and does something listen there?")


def _examine(
    deployment: Deployment, size: int, pause_seconds: float, begin: Callable[[str], None]
) -> Iterator[Finding]:
    begin("asking GET /v2/")
    greeting = deployment.ask("GET", "/v2/")
    yield from front.version(greeting)
    yield from front.clock(greeting)
    begin("logging in")
    yield from front.access(deployment, greeting)
    if greeting.status == UNAUTHORIZED:
        challenge = deployment.ask("GET", f"/v2/{front.REPOSITORY}/tags/list").header("WWW-Authenticate")
        deployment = deployment.let_in(challenge or greeting.header("WWW-Authenticate"), front.SCOPE)
    begin("asking for a manifest that is not there")
    yield from front.missing(deployment)
    yield from transfer(deployment, size=size, pause_seconds=pause_seconds, begin=begin)
