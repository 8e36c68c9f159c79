"""Tells the audit log what an operator changes by a command."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from drivers.base import DriverError
from registry.commands.operator import Person
from registry.config import ConfigurationError
from registry.services import build_trail, open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config import Configuration
    from registry.config.values import Storage

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
            with _as_owner(configuration.storage):
                trail.record(action, kind, details, Person().origin)
    except (DriverError, OSError) as error:
        click.echo(f"done, but not recorded in the audit log: {error}", err=True)


@contextmanager
def _as_owner(storage: Storage) -> Iterator[None]:
    """Let root write to a directory as the user who owns it, as whom a server may have to go on with what is there.

    Raises:
        OSError: root may not become that user.
    """
    root = storage.parameters.get("rootdirectory")
    if os.geteuid() != 0 or storage.driver != "filesystem" or not isinstance(root, str):
        yield
        return
    owner, group = os.stat(root), os.getegid()  # noqa: PTH116  any text
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
