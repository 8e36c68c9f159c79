"""Tells the audit log what an operator changes by a command."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import click

from drivers.base import DriverError
from registry import __version__
from registry.config import ConfigurationError
from registry.journal.entry import Origin
from registry.services import build_trail, open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]


def record_change(load: LoadConfiguration, config: str | None, action: str, kind: str, **details: str) -> None:
    """Tell the audit log, if there is one, of what was done; where it cannot be told, a line on stderr says so.

    Without `config`, and without a configuration in the usual places, there is none.
    """
    try:
        configuration = load(config)
    except ConfigurationError:
        if config is None:
            return
        raise
    if not configuration.audit.enabled:
        return
    try:
        driver = open_existing_storage(configuration)
        trail = build_trail(configuration, driver) if driver.shared_between_processes else None
        if trail:
            trail.record(action, kind, details, operator())
    except DriverError as error:
        click.echo(f"done, but not recorded in the audit log: {error}", err=True)


def operator() -> Origin:
    """Return who runs the command: a user of this machine."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:  # containers have users without a name
        name = f"uid {user}"
    return Origin(actor=name, user_agent=f"registry/{__version__}")
