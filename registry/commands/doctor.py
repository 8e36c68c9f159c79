"""``registry doctor``: is a deployment in order, seen from where its clients are?"""

from __future__ import annotations

import sys
from urllib.parse import unquote, urlsplit

import click

from registry.commands.layout import Command, examples, json_option
from registry.commands.progress import StatusLine
from registry.doctor.client import Credentials, Deployment
from registry.doctor.examination import examine
from registry.doctor.findings import as_json, as_text, healthy

_MIB = 1024 * 1024


@click.command(
    "doctor",
    cls=Command,
    epilog=examples(
        "registry doctor http://localhost:5000",
        "registry doctor https://images.example.com --user alice --size 500",
    ),
)
@click.argument("url")
@click.option("--user", metavar="USER[:PASSWORD]", help="Who asks; a password that is not given is asked for.")
@click.option(
    "--size",
    default=16,
    show_default=True,
    metavar="MIB",
    type=click.IntRange(1),
    help="Size of the blob that is pushed.",
)
@click.option(
    "--pause",
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="Pause in its upload, to find timeouts.",
)
@json_option
def doctor_command(url: str, user: str | None, size: int, pause: float, *, in_json: bool) -> None:
    """Look at the registry at URL from outside, as a client would, and say what to change.

    A blob is pushed to the repository registry-doctor/probe and deleted again, if that is allowed.
    The exit status is 1 if something is wrong; a mere warning is 0.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter("must be http://HOST or https://HOST", param_hint="URL")
    credentials = None
    if user:
        name, colon, password = user.partition(":")
        credentials = Credentials(name, password if colon else click.prompt("Password", hide_input=True, err=True))
    elif parts.username is not None:
        credentials = Credentials(unquote(parts.username), unquote(parts.password or ""))
    host = parts.netloc.rpartition("@")[2]
    address = f"{parts.scheme}://{host}{parts.path.rstrip('/').removesuffix('/v2')}"
    deployment = Deployment(address, credentials)
    findings = []
    with StatusLine() as line:
        for finding in examine(deployment, size=size * _MIB, pause_seconds=pause, begin=line.show):
            findings.append(finding)
            if not in_json:
                line.clear()
                click.echo(as_text(finding))
    if in_json:
        click.echo(as_json(address, findings))
    sys.exit(0 if healthy(findings) else 1)
