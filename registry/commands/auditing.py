"""Tells the audit log what an operator changes by a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from drivers.base import DriverError
from registry.commands.operator import Person
from registry.commands.ownership import journal_of
from registry.config import ConfigurationError
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
        journal = journal_of(configuration, driver)
        trail = build_trail(configuration, journal) if driver.shared_between_processes else None
        if trail:
            trail.record(action, kind, details, Person().origin)
    except DriverError as error:
        click.echo(f"done, but not recorded in the audit log: {error}", err=True)
