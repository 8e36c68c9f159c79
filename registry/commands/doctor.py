"""``registry doctor``: is a deployment in order, seen from where its clients are?"""

from __future__ import annotations

import math
import sys
from itertools import chain
from typing import TYPE_CHECKING

import click

from registry.commands.deliveries import examine_deliveries
from registry.commands.layout import Command, examples, json_option
from registry.commands.limits import examine_quotas
from registry.commands.passwords import ask_password
from registry.commands.progress import StatusLine
from registry.commands.upstreams import examine_upstreams
from registry.doctor.client import Credentials, Deployment
from registry.doctor.examination import examine
from registry.doctor.findings import as_json, as_text, healthy
from registry.foundation.registry_url import parse_registry_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]

_MIB = 1024 * 1024
_MOST_MIB = 1024 * 1024
_LONGEST_PAUSE_SECONDS = 3600


class _Seconds(click.FloatRange):
    """A number, which "nan" is not: it is in no range and beyond none."""

    def convert(self, value: str | float, param: click.Parameter | None, context: click.Context | None) -> float:
        """Return the number of seconds."""
        seconds = float(super().convert(value, param, context))  # type: ignore[arg-type]  # it takes text as well
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, context)
        return seconds


@click.command(
    "doctor",
    cls=Command,
    epilog=examples(
        "registry doctor http://localhost:5000",
        "registry doctor https://images.example.com --user alice --size 500",
        "registry doctor http://localhost:5000 --config /etc/distribution/config.yml",
    ),
)
@click.argument("url")
@click.option("--user", metavar="USER[:PASSWORD]", help="Who asks; a password that is not given is asked for.")
@click.option(
    "--size",
    default=16,
    show_default=True,
    metavar="MIB",
    type=click.IntRange(1, _MOST_MIB),
    help="Size of the blob that is pushed.",
)
@click.option(
    "--pause",
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    type=_Seconds(0, _LONGEST_PAUSE_SECONDS),
    help="Pause in its upload, to find timeouts.",
)
@click.option(
    "--config", "configured_by", metavar="FILE", help="Also look at notifications, audit, quotas and upstreams in FILE."
)
@json_option
@click.pass_obj
def doctor_command(  # noqa: PLR0913, PLR0917 - one for each option
    load: LoadConfiguration,
    url: str,
    user: str | None,
    size: int,
    pause: float,
    configured_by: str | None,
    *,
    in_json: bool,
) -> None:
    """Look at the registry at URL from outside, as a client would, and say what to change.

    A blob is pushed to the repository registry-doctor/probe and deleted again, if that is allowed. With --config, which
    is for the machine of the registry, also whether each endpoint of notifications and each output of the audit log can
    be reached, and takes what it is told, how full each quota is, and whether each upstream answers.
    The exit status is 1 if something is wrong; a mere warning is 0.
    """
    try:
        parts = parse_registry_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from error
    credentials = None
    if user:
        name, colon, password = user.partition(":")
        credentials = Credentials(name, password if colon else ask_password("--user USER:PASSWORD", err=True))
    elif parts.user is not None:
        credentials = Credentials(parts.user, parts.password or "")
    address = parts.address
    deployment = Deployment(address, credentials)
    configuration = load(configured_by) if configured_by is not None else None
    findings = []
    with StatusLine() as line:
        # What waits is looked at first: what the doctor pushes does not count.
        deliveries = examine_deliveries(configuration, line.show) if configuration else ()
        quotas = examine_quotas(configuration) if configuration else ()
        upstreams = examine_upstreams(configuration, line.show) if configuration else ()
        outside = examine(deployment, size=size * _MIB, pause_seconds=pause, begin=line.show)
        found = chain(outside, deliveries, quotas, upstreams)
        for finding in found:
            findings.append(finding)
            if not in_json:
                line.clear()
                click.echo(as_text(finding))
    if in_json:
        click.echo(as_json(address, findings))
    sys.exit(0 if healthy(findings) else 1)
