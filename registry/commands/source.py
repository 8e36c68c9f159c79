"""Where ``ls``, ``tags``, ``rm`` and ``du`` look: the storage of a configuration, or a registry behind a URL."""

from __future__ import annotations

import functools
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from registry.commands.operator import Person
from registry.commands.ownership import journal_of
from registry.inventory.local import StorageSource
from registry.inventory.patterns import Pattern, PatternError
from registry.inventory.source import InventoryError
from registry.services import build_publishing, open_existing_storage
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.inventory.source import Source

    LoadConfiguration = Callable[[str | None], Configuration]

config_option = click.option("--config", metavar="FILE", help="The registry's configuration; by default as for serve.")

_OPTIONS = (
    config_option,
    click.option("--url", metavar="URL", help="Ask the registry at URL instead, any that speaks the API."),
    click.option("--user", metavar="USER[:PASSWORD]", help="Who asks at --url; by default as docker has logged in."),
    click.option("--password-stdin", is_flag=True, help="Read the password of --user from standard input."),
    click.option(
        "--ca-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="Trust the certificates in FILE, too.",
    ),
    click.option("--insecure", is_flag=True, help="Trust any certificate of --url."),
)


@dataclass(frozen=True, slots=True)
class Place:
    """What the options say of where to look."""

    config: str | None
    url: str | None
    user: str | None
    password_stdin: bool
    ca_file: str | None
    insecure: bool


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them as `place`."""

    @functools.wraps(command)
    def with_place(*args: Any, **options: Any) -> None:
        place = Place(**{field.name: options.pop(field.name) for field in fields(Place)})
        command(*args, place=place, **options)

    for option in reversed(_OPTIONS):
        with_place = option(with_place)
    return with_place


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage of a configuration."""

    configuration: Configuration
    driver: StorageDriver
    repositories: Repositories


def open_configured(load: LoadConfiguration, config: str | None) -> Storage:
    """Return the storage of the configuration in the file `config`."""
    configuration = load(config)
    driver = open_existing_storage(configuration)
    read_only = configuration.storage.maintenance.readonly.enabled
    return Storage(configuration, driver, Repositories(driver, read_only=read_only))


def storage_source(storage: Storage) -> StorageSource:
    """Return a storage as a source."""
    journal = journal_of(storage.configuration, storage.driver)
    return StorageSource(
        storage.repositories, build_publishing(storage.configuration, storage.driver, journal, Person())
    )


def open_source(load: LoadConfiguration, place: Place) -> Source:
    """Return the source that the options name."""
    return storage_source(open_storage_of(load, place)) if place.url is None else remote_source(place)


def open_storage_of(load: LoadConfiguration, place: Place) -> Storage:
    """Return the storage that the options name, none of which may be one that goes with ``--url``."""
    if place.user is not None or place.password_stdin or place.ca_file or place.insecure:
        raise click.UsageError("--user, --password-stdin, --ca-file and --insecure go with --url")
    return open_configured(load, place.config)


def remote_source(place: Place) -> Source:
    """Return the registry at ``--url``."""
    from registry.commands.remote import open_remote  # noqa: PLC0415  what asks over HTTP is loaded where it is asked

    with errors_in_a_line():
        return open_remote(place)


def parse_patterns(texts: Sequence[str]) -> list[Pattern]:
    """Read what was typed to name repositories, tags and manifests."""
    try:
        return [Pattern.parse(text) for text in texts]
    except PatternError as error:
        raise click.ClickException(str(error)) from error


def repository_patterns(texts: Sequence[str]) -> list[Pattern]:
    """Read what was typed to name repositories."""
    patterns = parse_patterns(texts)
    for pattern in patterns:
        if not pattern.is_whole:
            instead = "" if pattern.tag is None else f"; for tags: registry tags {shlex.quote(pattern.text)}"
            raise click.ClickException(f"{pattern.text} is more than the name of a repository{instead}")
    return patterns


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Turn what cannot be done into one line."""
    try:
        yield
    except InventoryError as error:
        raise click.ClickException(str(error)) from error
