"""``/bin/registry`` in the image: the command line, as an unprivileged user wherever that is possible."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.container import health
from registry.container.ownership import Changes, make_usable
from registry.container.signals import interrupt_on_ctrl_c
from registry.container.usability import named_by_operator, unusable
from registry.container.user import VARIABLE, Capability, User, ask_as, become, may_pass_on
from registry.container.way import may_be_replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.container.invocation import Invocation
    from registry.container.needs import Needs

    Tell = Callable[[int, str], None]
    """Tells a line, at a level of logging."""

_AS_STARTED: Final = frozenset(
    {"audit", "auth", "config", "doctor", "du", "export", "gc", "htpasswd", "ls", "probe", "tags"}
)
"""Commands that only read the storage, or write files of whoever types them: they stay the user who starts them."""
_WRITES_FOR_THE_SERVER: Final = frozenset({"auth", "htpasswd"})
"""Those whose files the server reads."""
_ROUNDS: Final = 3


def main() -> None:
    """Run the command that the arguments name, and exit."""
    arguments = sys.argv[1:]
    if arguments == ["probe"]:
        if health.is_healthy(health.place()):
            sys.exit()
        arguments += filter(None, [health.configuration_path(health.place())])
    # The server starts itself again by this name.
    sys.argv = [str(Path(sys.prefix) / "bin/registry"), *arguments]
    try:
        user = User.parse(os.environ.get(VARIABLE, ""))
    except ValueError as error:
        sys.exit(f"configuration error: {error}")
    # The probe that runs every few seconds needs none of it.
    from registry.cli import main as run  # noqa: PLC0415
    from registry.container.invocation import Invocation, read_arguments  # noqa: PLC0415

    privileged = os.geteuid() == 0 and user.uid != 0
    reads = privileged or arguments[:1] == ["serve"]
    invocation = read_arguments(arguments, os.environ) if reads else Invocation()
    command = [sys.executable, "-P", "-m", "registry.container", *arguments]
    writes_for_the_server = privileged and invocation.name in _WRITES_FOR_THE_SERVER
    if privileged and not invocation.only_reads and invocation.name not in _AS_STARTED:
        _go_on_as(user, invocation, command)
    elif writes_for_the_server and (_may_write(user, invocation) or _may_mislead(user, invocation)):
        become(user, command, ())
    if invocation.name == "serve" and invocation.configuration:
        path, configuration = invocation.configuration
        health.remember(health.place(), path, configuration.http)
    interrupt_on_ctrl_c()
    try:
        run()
    finally:
        if writes_for_the_server and not invocation.only_reads:
            _leave_readable(user, invocation)


def _go_on_as(user: User, invocation: Invocation, command: list[str]) -> None:
    """Replace this process by `command` as `user`, for whom all is made usable; return if it cannot become that user.

    What a registry that ran as root could use must be served. So the user gets the right to use what cannot be changed,
    unless somebody has chosen that user: what the operator has named, such as a key that is mounted read-only. It is
    never given for what the user itself may have put there.
    """
    tell = _teller(invocation)
    needs = invocation.needs(os.environ)
    try:
        left, wrong = _hand_over(user, needs, tell)
    except OSError as error:
        reason = f"goes on as root, as it cannot become user {user} ({error.strerror})"
        if needs.made:
            tell(logging.WARNING, f"{reason}: --user {user} starts it as that user")
        return
    keep = [Capability.NET_BIND_SERVICE]
    named = [path for path in left if named_by_operator(path, needs, user)]
    able = bool(named) and not os.environ.get(VARIABLE) and may_pass_on(Capability.DAC_OVERRIDE)
    if able and not set(named) & set(unusable(needs)):
        keep.append(Capability.DAC_OVERRIDE)
    if left and invocation.name == "serve":
        able = Capability.DAC_OVERRIDE in keep
        result = "gets the right to use all files (CAP_DAC_OVERRIDE)" if able else "goes on without"
        reasons = "; ".join(_reason(path, wrong) for path in left)
        advice = f": type chown -R {user} for it where it is" if named else ""
        tell(logging.WARNING, f"user {user} cannot use {', '.join(left)} ({reasons}), and {result}{advice}")
    become(user, command, keep)


def _reason(path: str, wrong: Mapping[str, str]) -> str:
    """Return what is `wrong` with `path`, or with the tree that it is in."""
    found = (text for place, text in wrong.items() if path == place or path.startswith(f"{place}/"))
    return next(found, f"{path}: owner and mode permit it, another rule of the system does not")


def _hand_over(user: User, needs: Needs, tell: Tell) -> tuple[list[str], dict[str, str]]:
    """Make `needs` usable for `user`; return what it cannot use even so, and what went wrong.

    Raises:
        OSError: this process cannot become that user.
    """
    changes = Changes()
    left = ask_as(user, lambda: unusable(needs))
    # What lies in a directory that could not be searched shows in the next round.
    for _ in range(_ROUNDS):
        if not left:
            break
        make_usable(left, needs, user, lambda text: tell(logging.INFO, text), changes)
        left = ask_as(user, lambda: unusable(needs))
    if changes.done:
        tell(logging.INFO, f"made usable for user {user}: {', '.join(changes.done)}")
    return left, changes.wrong


def _may_write(user: User, invocation: Invocation) -> bool:
    """Tell whether `user` can write the files of users and keys of the command, so that root need not."""

    def lacking() -> list[str]:
        directories = [path for path in map(os.path.dirname, paths) if not os.access(path, os.W_OK | os.X_OK)]
        return directories + [path for path in paths if os.path.exists(path) and not os.access(path, os.R_OK)]  # noqa: PTH110

    paths = [os.path.abspath(path) for path in invocation.credentials]  # noqa: PTH100  any text
    try:
        return bool(paths) and not ask_as(user, lacking)
    except OSError:
        return False


def _may_mislead(user: User, invocation: Invocation) -> bool:
    """Tell whether `user` may put a link in the place of such a file, so that root would write or show another one."""
    return any(may_be_replaced(path, user) for path in invocation.kept_by_root())


def _leave_readable(user: User, invocation: Invocation) -> None:
    """Make what the command has written usable for the server, which is another user."""
    tell = _teller(invocation)
    try:
        _hand_over(user, invocation.written(), tell)
    except OSError as error:
        tell(logging.WARNING, f"whether user {user} can read the file is not known: {error.strerror}")


def _teller(invocation: Invocation) -> Tell:
    """Return what tells a line: the log of a server, else stderr."""
    import click  # noqa: PLC0415  as in main()

    if invocation.name == "serve" and invocation.configuration:
        from registry.observation import log  # noqa: PLC0415  other commands have none

        log.configure(replace(invocation.configuration[1].log, hooks=()))
        return logging.getLogger(__name__).log
    return lambda _, text: click.echo(f"registry: {text}", err=True)
