"""``registry config``: is the configuration one that can be served, and what does it say."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import click

from registry.commands.layout import Group, json_option
from registry.config import effective
from registry.config.outputs import syslog_target
from registry.config.printing import effective_json
from registry.foundation.redaction import redacted, redacted_setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration
    from registry.config.origins import Origins

    LoadConfiguration = Callable[[str | None], Configuration]

_FORGIVING = {"allow_extra_args": True}


@click.group("config", cls=Group)
def config_commands() -> None:
    """Check the configuration, or show it."""


@config_commands.command(context_settings=_FORGIVING)
@click.argument("config", required=False)
@click.pass_obj
def check(load: LoadConfiguration, config: str | None) -> None:
    """Try all that serve does before it listens, and say "ok" or what is wrong.

    Exit status 1 if something is wrong. Nothing is changed: what serve would make is not made, and no port is opened.
    The storage is asked, and where there is one, a file is written to it and deleted again.
    """
    from registry.server.trial import try_out  # noqa: PLC0415  `config show` needs no server

    configuration = load(config)
    _show_log(configuration.origins)
    _warn(configuration)
    for note in try_out(configuration, os.environ):
        click.echo(f"note: {redacted(note)}", err=True)
    _warn_of_syslog(configuration)
    click.echo("ok")


@config_commands.command(context_settings=_FORGIVING)
@click.argument("config", required=False)
@json_option
@click.pass_obj
def show(load: LoadConfiguration, config: str | None, *, in_json: bool) -> None:
    """Print the configuration in force as YAML, without its secrets.

    What was ignored goes to stderr.
    """
    configuration = load(config)
    _warn(configuration)
    click.echo(effective_json(configuration) if in_json else effective(configuration), nl=in_json)


def _warn(configuration: Configuration) -> None:
    for warning in configuration.warnings:
        click.echo(f"warning: {redacted_setting(configuration.origins.located_warning(warning))}", err=True)


def _warn_of_syslog(configuration: Configuration) -> None:
    """Say what of a syslog is not there yet: the server starts without it, and tells it all when it is there."""
    from registry.audit.syslog import absent  # noqa: PLC0415  `config show` needs none of it

    target = syslog_target(configuration.audit) if configuration.audit.enabled else None
    missing = absent(target) if target else ""
    if missing:
        warning = f"audit.syslog: {missing}; the server starts, and the audit log waits for it"
        click.echo(f"warning: {configuration.origins.located_warning(warning)}", err=True)


def _show_log(origins: Origins) -> None:
    """Print what the parts of the server log, and nothing of libraries but warnings."""
    root = logging.getLogger()
    root.handlers[:] = [_Echo(origins)]
    root.setLevel(logging.WARNING)
    for room in ("auth", "drivers", "registry"):
        logging.getLogger(room).setLevel(logging.INFO)


class _Echo(logging.Handler):
    def __init__(self, origins: Origins) -> None:
        super().__init__()
        self._origins = origins

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        click.echo(f"{kind}: {redacted(self._origins.located_warning(record.getMessage()))}", err=True)
