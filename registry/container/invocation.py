"""What the arguments ask for, before the command runs: its name, and the configurations and files that it needs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from registry.cli import commands
from registry.config import Configuration, ConfigurationError, find_path, load
from registry.container.needs import Needs, credentials_of, needs_of, needs_of_auth, needs_of_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SUFFIXES: Final = (".yml", ".yaml")
_ONLY_READ: Final = frozenset({"source"})
"""Parameters that name the configuration of a storage to which nothing is written."""
_CREDENTIALS: Final = frozenset({"path", "directory"})
"""Parameters that name a file of users or keys, or a directory of logins."""
_FLAGS_THAT_ONLY_READ: Final = frozenset({"dry_run", "listing"})
_FLAGS_THAT_WRITE: Final = {"fsck": frozenset({"repair", "prune", "relink"})}
"""Commands that only read unless one of these is given."""
_COMMANDS_THAT_ONLY_READ: Final = (["list"], ["explain"], ["replay"], ["test"])


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
    only_reads: bool = False
    """Whether nothing is written, such as by a dry run."""

    @property
    def configuration(self) -> tuple[str, Configuration] | None:
        """The configuration of the command, with its path, if it has exactly one."""
        return self.configurations.get("config")

    def needs(self, environ: Mapping[str, str]) -> Needs:
        """Return what the command needs of the file system; without a configuration it stores nothing."""
        # What is missing is told by the command.
        needs = Needs(files=frozenset(path for path in self.files if os.path.exists(path)))  # noqa: PTH110  any text
        for parameter, (_, configuration) in self.configurations.items():
            reading = parameter in _ONLY_READ or configuration.storage.maintenance.readonly.enabled
            needs |= needs_of_environment(environ, reading=reading)
            needs |= needs_of(configuration, reading=reading, serving=self.name == "serve")
        return needs

    def kept_by_root(self) -> frozenset[str]:
        """Return the paths of users, keys and logins that the command may read or write where it stays root."""
        return self.credentials | self._logins()

    def written(self) -> Needs:
        """Return which of the files of users, keys and logins are there, which the server needs as well."""
        files = frozenset(path for path in self.credentials if os.path.isfile(path))  # noqa: PTH113  any text
        return Needs(files=files, trees=self._logins())

    def _logins(self) -> frozenset[str]:
        return needs_of_auth(self.configuration[1]).trees if self.configuration else frozenset()


def read_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Return what `arguments` ask for; what cannot be understood or loaded is left out."""
    words, parameters = _parameters(arguments)
    paths: dict[str, str] = {}
    files: set[str] = set()
    credentials: set[str] = set()
    given = {parameter.name for parameter, value in parameters if value}
    writing = _FLAGS_THAT_WRITE.get(words[0]) if words else None
    only_reads = words[-1:] in _COMMANDS_THAT_ONLY_READ or (writing is not None and not writing & given)
    for parameter, value in parameters:
        text = str(value) if value is not None else ""
        if parameter.name == "config":
            with suppress(ConfigurationError):
                paths["config"] = find_path(text or None, environ)
        elif parameter.name in _FLAGS_THAT_ONLY_READ:
            only_reads = only_reads or bool(value)
        elif parameter.name in _CREDENTIALS and text:
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
    name, files = words[0] if words else "", files | {*paths.values()}
    return Invocation(name, frozenset(files), frozenset(credentials), configurations, only_reads)


def _parameters(arguments: Sequence[str]) -> tuple[list[str], list[tuple[click.Parameter, object]]]:
    """Return the words of the command, and its parameters with their values; neither if it only shows its help."""
    command: click.Command = commands
    context = click.Context(command, **commands.context_settings)
    words: list[str] = []
    rest = list(arguments)
    with suppress(click.ClickException, click.exceptions.Exit):
        while isinstance(command, click.Group):
            options = [*takewhile(lambda word: word.startswith("-"), rest)]
            if any(set(each.opts).intersection(options) for each in _showing(command, context)):
                return [], []
            del rest[: len(options)]
            if not rest:
                return words, []
            words.append(rest.pop(0))
            found = command.get_command(context, words[-1])
            if found is None:
                return words, []
            command, context = found, click.Context(found, parent=context, info_name=words[-1])
        context = command.make_context(words[-1], rest, parent=context.parent, resilient_parsing=True)
        sources = [context.get_parameter_source(str(each.name)) for each in _showing(command, context)]
        if ParameterSource.COMMANDLINE in sources:
            return [], []
        return words, [(parameter, context.params.get(str(parameter.name))) for parameter in command.params]
    return words, []


def _showing(command: click.Command, context: click.Context) -> list[click.Parameter]:
    """Return the options with which `command` shows its help or its version, and does nothing else."""
    return [each for each in command.get_params(context) if each.is_eager and not each.expose_value]
