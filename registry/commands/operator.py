"""Who runs a command, as the journal tells it."""

from __future__ import annotations

import os
import pwd
from functools import cached_property

import click

from registry import __version__
from registry.journal.entry import Origin
from registry.publishing import Operator


class Person(Operator):
    """Who has typed the command that runs: may do everything, and is told of by the name that the system knows."""

    def __init__(self) -> None:
        self._command = click.get_current_context().command_path

    @cached_property
    def origin(self) -> Origin:  # type: ignore[override]  # looked up only if something is told
        return Origin(actor=_user(), user_agent=_user_agent(self._command))


class Automaton(Operator):
    """The registry itself, called `actor`, which decides in the command that runs what goes: may do everything."""

    def __init__(self, actor: str = "registry") -> None:
        self.origin = Origin(actor=actor, user_agent=_user_agent(click.get_current_context().command_path))


def _user() -> str:
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run with any number
        return f"uid {number}"


def _user_agent(command: str) -> str:
    return f"registry/{__version__} ({command.partition(' ')[2] or command})"
