"""Ending the sessions that a user has in browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from auth.identities.logouts import SEEN_SECONDS, Logouts
from registry.audit.record import LOGINS, REVOKE
from registry.commands.access import config_option, one_line, records_of, section_of
from registry.commands.auditing import Recording
from registry.commands.layout import Command, examples
from registry.config import ConfigurationError

if TYPE_CHECKING:
    from registry.commands.access import LoadConfiguration


@click.command(cls=Command, epilog=examples("registry auth logout alice --config config.yml"))
@click.argument("user")
@config_option
@click.pass_obj
def logout(load: LoadConfiguration, user: str, config: str | None) -> None:
    """Log USER out of the pages in every browser.

    API keys and what docker login keeps are good as before: see "registry auth key" and "registry auth token".
    """
    if section_of(load, config).name not in {"htpasswd", "local"}:
        raise ConfigurationError("auth", "is neither htpasswd nor local: nobody logs in to the pages")
    recording = Recording.prepare(load, config)
    with one_line(), records_of(load(config), "storage") as records:
        logouts = Logouts()
        logouts.keep(records)
        logouts.end(user)
    click.echo(f"logged out {user}: every host knows within {SEEN_SECONDS:g} seconds")
    recording.record(REVOKE, LOGINS, user=user)
