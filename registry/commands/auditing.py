"""Tells the audit log what an operator changes by a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from drivers.base import DriverError
from registry.commands.operator import Person
from registry.commands.ownership import journal_of
from registry.config import ConfigurationError
from registry.config.loading import NOT_FOUND
from registry.services import build_trail, open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]


@dataclass(frozen=True, slots=True)
class Recording:
    """The audit log that is told of a change: that of a `configuration`, or none, of which `missing` may say why."""

    configuration: Configuration | None
    missing: str = ""

    @classmethod
    def prepare(cls, load: LoadConfiguration, config: str | None) -> Recording:
        """Return what tells the audit log of the configuration `config`; make it before anything is changed.

        Without `config`, and without a configuration in the usual places, there is none.

        Raises:
            ConfigurationError: the file `config` cannot be used.
        """
        try:
            return cls(load(config))
        except ConfigurationError as error:
            if config is not None:
                raise
            return cls(None, "" if error.where in NOT_FOUND else str(error))

    def record(self, action: str, kind: str, **details: str) -> None:
        """Tell what was done; where it cannot be told, a line on stderr says so."""
        failed = self.missing
        if self.configuration and self.configuration.audit.enabled:
            try:
                _record(self.configuration, action, kind, details)
            except DriverError as error:
                failed = str(error)
        if failed:
            click.echo(f"done, but not recorded in the audit log: {failed}", err=True)


def _record(configuration: Configuration, action: str, kind: str, details: Mapping[str, str]) -> None:
    driver = open_existing_storage(configuration)
    journal = journal_of(configuration, driver)
    trail = build_trail(configuration, journal) if driver.shared_between_processes else None
    if trail:
        trail.record(action, kind, details, Person().origin)
