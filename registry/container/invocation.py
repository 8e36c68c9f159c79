"""What the arguments ask for, before the command runs: its name, and the configurations and files that it needs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click

from registry.cli import commands
from registry.config import Configuration, ConfigurationError, find_path, load
from registry.container.needs import Needs, credentials_of, needs_of, needs_of_auth, needs_of_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SUFFIXES: Final = (".yml", ".yaml")
_ONLY_READ: Final = frozenset({"source"})
"""Parameters that name the configuration of a storage to which nothing is written."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command and its parameters, as far as they can be told: the command itself finds out what is wrong."""

    name: str = ""
    """The first word of the command; "" if there is none."""
    files: frozenset[str] = frozenset()
    """Files that the parameters name, the configurations among them."""
    credentials: frozenset[str] = frozenset()
    """Files of users and keys that the command may write."""
    configurations: Mapping[str, tuple[str, Configuration]] = field(default_factory=dict)
    """The configurations by the name of the parameter, each with its path."""

    @property
    def configuration(self) -> tuple[str, Configuration] | None:
        """The configuration of the command, with its path, if it has exactly one."""
        return self.configurations.get("config")

    def needs(self, environ: Mapping[str, str]) -> Needs:
        """Return what the command needs of the file system; without a configuration it stores nothing."""
        needs = Needs(files=self.files)
        if self.configurations:
            needs |= needs_of_environment(environ)
        for parameter, (_, configuration) in self.configurations.items():
            needs |= needs_of(configuration, reading=parameter in _ONLY_READ)
        return needs

    def written(self) -> Needs:
        """Return which of the files of users, keys and logins are there, which the server needs as well."""
        files = frozenset(path for path in self.credentials if os.path.isfile(path))  # noqa: PTH113  any text
        trees = needs_of_auth(self.configuration[1]).trees if self.configuration else frozenset()
        return Needs(files=files, trees=trees)


def read_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Return what `arguments` ask for; what cannot be understood or loaded is left out."""
    name, parameters = _parameters(arguments)
    paths: dict[str, str] = {}
    files: set[str] = set()
    credentials: set[str] = set()
    for parameter, value in parameters:
        text = str(value) if value is not None else ""
        if parameter.name == "config":
            with suppress(ConfigurationError):
                paths["config"] = find_path(text or None, environ)
        elif parameter.name == "path" and text:
            credentials.add(text)
        elif text.endswith(_SUFFIXES):
            paths[str(parameter.name)] = text
        elif isinstance(parameter.type, click.Path) and os.path.isfile(text):  # noqa: PTH113  "" is not a file
            files.add(text)
    configurations = {}
    for parameter_name, path in paths.items():
        with suppress(ConfigurationError):
            configurations[parameter_name] = (path, load(path, environ))
    if "config" in configurations and not credentials:
        credentials.update(credentials_of(configurations["config"][1]))
    return Invocation(name, frozenset(files | {*paths.values()}), frozenset(credentials), configurations)


def _parameters(arguments: Sequence[str]) -> tuple[str, list[tuple[click.Parameter, object]]]:
    """Return the first word of the command, and its parameters with their values."""
    command: click.Command | None = commands
    words: list[str] = []
    rest = list(arguments)
    with suppress(click.ClickException, click.exceptions.Exit):
        while isinstance(command, click.Group):
            while rest and rest[0].startswith("-"):
                del rest[0]
            if not rest:
                break
            words.append(rest.pop(0))
            command = command.get_command(click.Context(command), words[-1])
        if command and words:
            context = command.make_context(words[-1], rest, resilient_parsing=True)
            return words[0], list(_values(command, context))
    return words[0] if words else "", []


def _values(command: click.Command, context: click.Context) -> Iterator[tuple[click.Parameter, object]]:
    for parameter in command.params:
        yield parameter, context.params.get(str(parameter.name))
