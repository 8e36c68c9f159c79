"""The command line. The only place that reads the process's environment.

A command raises ConfigurationError for what the operator got wrong; :func:`main` turns it into one line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING

import click

from drivers.base import DriverError
from registry import __version__
from registry.commands.ending import Commands
from registry.commands.layout import json_option
from registry.commands.on_demand import CommandsOnDemand
from registry.commands.progress import StatusLine
from registry.config import Configuration, ConfigurationError, find_path, load
from registry.foundation.extras import DISTRIBUTION
from registry.foundation.redaction import redacted
from registry.services import open_existing_storage
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    import types

_NAME_AND_VERSION = f"registry {DISTRIBUTION} v{__version__}"
_FORGIVING = {"allow_extra_args": True}
"""The Go registry takes no notice of arguments after the first."""
_PLACES = {
    name: f"registry.commands.{place}"
    for name, place in {
        "config": "config:config_commands",
        "ls": "listing:ls_command",
        "tags": "listing:tags_command",
        "show": "showing:show_command",
        "rm": "removing:rm_command",
        "du": "usage:du_command",
        "usage": "quotas:usage_command",
        "htpasswd": "auth:htpasswd_command",
        "auth": "auth:auth_commands",
        "audit": "audit:audit_commands",
        "doctor": "doctor:doctor_command",
        "garbage-collect": "garbage:garbage_collect_command",
        "gc": "gc:gc_commands",
        "fsck": "fsck:fsck_command",
        "retention": "retention:retention_commands",
        "proxy": "proxy:proxy_commands",
        "export": "archive:export_command",
        "import": "archive:import_command",
        "storage": "storage:storage_commands",
        "notifications": "notifications:notifications_commands",
    }.items()
}
"""Where the commands are that are not below, by their names."""


@click.group(
    cls=Commands,
    commands=CommandsOnDemand(_PLACES),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(
    __version__,
    "-v",
    "--version",
    message=_NAME_AND_VERSION,
)
@click.pass_context
def commands(context: click.Context) -> None:
    """Serve container images. CONFIG is a file in the format of registry:2 and registry:3.

    Without CONFIG the file is the one that REGISTRY_CONFIGURATION_PATH names, else
    /etc/distribution/config.yml, else /etc/docker/registry/config.yml.
    Variables named REGISTRY_* override what is in the file.
    """
    context.obj = _configuration
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)


@commands.command(context_settings=_FORGIVING)
@click.argument("config", required=False)
def serve(config: str | None) -> None:
    """Run the registry."""
    from registry.observation.tracing import exporter_of  # noqa: PLC0415  other commands need no server
    from registry.server.master import serve as run  # noqa: PLC0415

    path = find_path(config, os.environ)
    # https://no-color.org
    colored = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    run(lambda: load(path, os.environ), traces=exporter_of(os.environ), colored=colored)


@commands.command(context_settings=_FORGIVING)
@click.argument("config", required=False)
def probe(config: str | None) -> None:
    """Ask the registry on this machine whether it serves; exit status 1 if it does not."""
    from registry.server.probe import probe as ask  # noqa: PLC0415  as above

    wrong = ask(_configuration(config).http)
    if wrong:
        click.echo(wrong, err=True)
        sys.exit(1)


@commands.group("referrers")
def referrers_commands() -> None:
    """Look after the index of referrers: signatures, attestations and other manifests that name a subject."""


@referrers_commands.command(context_settings=_FORGIVING)
@click.argument("config", required=False)
@json_option
def rebuild(config: str | None, *, in_json: bool) -> None:
    """Write the index anew from the manifests, for a store that another registry has written to."""
    stored = Repositories(open_existing_storage(_configuration(config)))
    repositories = referrers = 0
    with StatusLine() as line:
        for name, found in stored.rebuild_referrers():
            repositories, referrers = repositories + 1, referrers + found
            line.show(f"{repositories} repositories, {referrers} referrers: {name}")
    if in_json:
        click.echo(json.dumps({"repositories": repositories, "referrers": referrers}))
    else:
        click.echo(f"{referrers} referrers in {repositories} repositories")


@commands.command()
def version() -> None:
    """Show the version, as --version does."""
    click.echo(_NAME_AND_VERSION)


@commands.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_command(context: click.Context, command: tuple[str, ...]) -> None:
    """Show what COMMAND does, as its --help does."""
    shown = context.find_root()
    for name in command:
        found = shown.command.get_command(shown, name) if isinstance(shown.command, click.Group) else None
        if found is None:
            shown.fail(f"No such command '{name}'.")
        shown = click.Context(found, parent=shown, info_name=name, **found.context_settings)
    click.echo(shown.get_help())


def _print_traceback(kind: type[BaseException], error: BaseException | None, trace: types.TracebackType | None) -> None:
    """Print what nobody caught; a library may have put a URL with its secrets into it."""
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))


def _print_traceback_of_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_type is not SystemExit:
        _print_traceback(uncaught.exc_type, uncaught.exc_value, uncaught.exc_traceback)


def _configuration(argument: str | None) -> Configuration:
    return load(find_path(argument, os.environ), os.environ)


def main() -> None:
    """Run the command that the arguments name, and exit."""
    sys.excepthook = _print_traceback
    threading.excepthook = _print_traceback_of_thread
    try:
        commands(prog_name="registry")
    except ConfigurationError as error:
        for each in error.each:
            click.echo(f"configuration error: {each.line}", err=True)
        sys.exit(1)
    except DriverError as error:
        click.echo(f"storage error: {redacted(str(error))}", err=True)
        sys.exit(1)
