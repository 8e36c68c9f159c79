"""What commands about access have in common: the ``auth`` section that they work on, and how they say what is wrong."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from auth.base import ControllerError
from registry.commands.ownership import as_owner
from registry.config import ConfigurationError
from registry.services import open_existing_storage
from registry.storage.records import StorageRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auth.base import Records
    from registry.config import Configuration
    from registry.config.values import Plugin

    LoadConfiguration = Callable[[str | None], Configuration]

config_option: Final = click.option("--config", metavar="CONFIG", help="The registry's configuration file.")


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Turn what is wrong with a file, or with the storage, into one line."""
    try:
        yield
    except (OSError, ValueError, ControllerError) as error:
        raise click.ClickException(str(error)) from error


def section_of(load: LoadConfiguration, config: str | None, name: str | None = None) -> Plugin:
    """Return the ``auth`` section; if `name` is given, it has to be that.

    Raises:
        ConfigurationError: there is none, or it is another one.
    """
    section = load(config).auth
    if section is None or name not in {None, section.name}:
        raise ConfigurationError("auth", f"is not {name}" if name else "is not there")
    return section


def htpasswd_path(section: Plugin) -> str:
    """Return the file of passwords that `section` names.

    Raises:
        ConfigurationError: it names none.
    """
    parameter = {"htpasswd": "path", "local": "htpasswd"}.get(section.name, "")
    path = section.parameters.get(parameter)
    if not isinstance(path, str):
        raise ConfigurationError(f"auth.{section.name}", "has no htpasswd file; name one with --file")
    return path


def moment(at: int | None) -> str:
    """Return when something ends, as people read it; what has no end ends when it is revoked."""
    return "revoked" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


@contextlib.contextmanager
def records_of(configuration: Configuration, key: str) -> Iterator[Records]:
    """Give what access controllers keep in the storage, to be changed by whoever runs the command; `key` asks for it.

    Raises:
        ConfigurationError: the storage is not one that a command shares with a server.
        drivers.base.DriverError: there is no storage.
    """
    storage = configuration.storage
    driver = open_existing_storage(configuration)
    if not driver.shared_between_processes:
        raise ConfigurationError(key, f"storage.{storage.driver} lives in the server, where no command sees it")
    with as_owner(storage):
        yield StorageRecords(driver)
