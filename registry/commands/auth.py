"""Commands about access: htpasswd files, API keys, refresh tokens, and why a user may or may not do something.

They work on the files of ``auth: htpasswd`` and ``auth: local`` themselves; a running registry sees the change
by itself.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from auth.actions import ACTIONS
from auth.rules.policy import policy_source
from auth.rules.ruleset import ANONYMOUS
from registry.audit.record import CHANGE, CREATE, LOGINS, REVOKE, USER
from registry.commands.access import config_option, htpasswd_path, moment, one_line, section_of
from registry.commands.auditing import Recording
from registry.commands.auth_keys import key_commands
from registry.commands.auth_logout import logout
from registry.commands.layout import Command, Group, examples, json_option
from registry.commands.passwords import ask_password
from registry.commands.printing import print_json_array
from registry.config import ConfigurationError
from registry.foundation.errors import ParameterError
from registry.foundation.parameters import Parameters
from registry.foundation.times import rfc3339
from registry.journal.entry import DELETE
from registry.oci.errors import NameInvalidError
from registry.oci.reference import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth.rules.ruleset import Decision
    from auth.tokenservice.logins import Login, Logins
    from registry.commands.access import LoadConfiguration


@click.command(
    "htpasswd",
    cls=Command,
    short_help="Set a user's password; list or delete users.",
    epilog=examples(
        "registry htpasswd alice --file /etc/registry/htpasswd",
        "pwgen 20 1 | registry htpasswd ci --password-stdin --config config.yml",
    ),
)
@click.argument("user", required=False)
@click.option("--list", "listing", is_flag=True, help="List the users instead.")
@click.option("--delete", "deleting", is_flag=True, help="Delete USER instead, who is out at once.")
@click.option("--file", "path", metavar="FILE", help="The file, if not that of the configuration.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--json", "in_json", is_flag=True, help="With --list: print them as JSON.")
@config_option
@click.pass_obj
def htpasswd_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    user: str | None,
    path: str | None,
    config: str | None,
    *,
    listing: bool,
    deleting: bool,
    password_stdin: bool,
    in_json: bool,
) -> None:
    """Set the password of USER, who is added if new. The file is created if missing, its directory is not."""
    if listing and (deleting or user is not None or password_stdin):
        raise click.UsageError("--list stands alone or with --json and --file")
    if (in_json and not listing) or (deleting and password_stdin):
        raise click.UsageError("--json goes with --list, --password-stdin with neither --list nor --delete")
    if user is None and not listing:
        raise click.UsageError("name a USER, or --list")
    path = htpasswd_path(section_of(load, config)) if path is None else path
    recording = Recording.prepare(load, config)
    with one_line():
        if user is None:
            _list_users(path, in_json=in_json)
        elif deleting:
            _delete_user(path, user)
            recording.record(DELETE, USER, user=user)
        else:
            new = _set_password(path, user, from_stdin=password_stdin)
            recording.record(CREATE if new else CHANGE, USER, user=user)


def _list_users(path: str, *, in_json: bool) -> None:
    from auth.identities.user_file import users  # noqa: PLC0415  no other command needs bcrypt

    found = users(path)
    if in_json:
        print_json_array({"user": user, "fault": fault or None} for user, fault in found.items())
        return
    for user, fault in found.items():
        click.echo(f"{user}  cannot log in: {fault}" if fault else user)


def _delete_user(path: str, user: str) -> None:
    from auth.identities.user_file import delete_user  # noqa: PLC0415  as above

    if not delete_user(path, user):
        raise click.ClickException(f"{user} is not in {path}")
    click.echo(f"deleted {user} from {path}")


def _set_password(path: str, user: str, *, from_stdin: bool) -> bool:
    """Set the password of a user, and tell whether the user is new."""
    from auth.identities.user_file import set_password  # noqa: PLC0415  as above

    typed = sys.stdin.readline().rstrip("\r\n") if from_stdin else ask_password("--password-stdin", twice=True)
    new = set_password(path, user, typed.encode())
    click.echo(f"{'added' if new else 'changed'} {user} in {path}")
    return new


@click.group("auth", cls=Group)
def auth_commands() -> None:
    """Look after who may do what."""


@auth_commands.command(epilog=examples("registry auth explain alice team/app push --config config.yml"))
@click.argument("user")
@click.argument("repository")
@click.argument("action", type=click.Choice(ACTIONS))
@json_option
@config_option
@click.pass_obj
def explain(  # noqa: PLR0913 - one for each flag
    load: LoadConfiguration, user: str, repository: str, action: str, config: str | None, *, in_json: bool
) -> None:
    """Say which rule decides whether USER (or "anonymous") may do something in REPOSITORY; exit 3 if not."""
    from auth.controllers.elsewhere import groups_elsewhere  # noqa: PLC0415  no other command needs what this loads

    section = section_of(load, config, "local")
    try:
        parse_name(repository)
    except NameInvalidError as error:
        text = f"{repository!r} cannot be the name of a repository"
        raise click.BadParameter(text, param_hint="REPOSITORY") from error
    try:
        policy = policy_source(section.parameters, groups_elsewhere(section.parameters))()
    except ParameterError as error:
        raise ConfigurationError("auth.local", str(error)) from error
    decision = policy.decide("" if user == ANONYMOUS else user, repository, action)
    untag = policy.decide_untag(decision.user, repository) if action == "delete" else None
    if in_json:
        click.echo(json.dumps(_told_of_decision(decision, untag)))
    else:
        click.echo(decision)
        if untag and decision.allowed and not untag.allowed:
            click.echo(f"but no tag, nor a manifest that has one: {untag}")
    if not decision.allowed:
        sys.exit(3)


def _told_of_decision(decision: Decision, untag: Decision | None) -> dict[str, object]:
    """Return what decides, for scripts; `untag` decides about the tags of what may be deleted."""
    rule = decision.rule and {"number": decision.rule.number, "repositories": decision.rule.glob.text}
    told: dict[str, object] = {"user": decision.user or ANONYMOUS, "allowed": decision.allowed, "rule": rule}
    told |= {name: getattr(decision, name) for name in ("repository", "action", "principals")}
    if untag:
        told["tags_too"] = decision.allowed and untag.allowed
    return told | {"reason": str(decision)}


auth_commands.add_command(key_commands)
auth_commands.add_command(logout)


@auth_commands.group("token")
def token_commands() -> None:
    """List and revoke refresh tokens: logins that clients keep."""


_directory = click.option(
    "--directory",
    metavar="DIRECTORY",
    type=click.Path(exists=True, file_okay=False),
    help="Where refresh tokens are recorded, if not as configured.",
)


@token_commands.command("list")
@click.option("--user", metavar="USER", help="Only those of this user.")
@json_option
@_directory
@config_option
@click.pass_obj
def list_tokens(
    load: LoadConfiguration, user: str | None, directory: str | None, config: str | None, *, in_json: bool
) -> None:
    """List the logins that have not expired."""
    with one_line():
        logins = _logins(load, config, directory)
        # There may be many: each is printed as it is read.
        found = logins.all() if user is None else logins.of_user(user)
        if in_json:
            print_json_array(map(_told_of_login, found))
        else:
            _print_lines(found)


def _told_of_login(login: Login) -> dict[str, object]:
    told = {name: getattr(login, name) for name in ("id", "user", "client", "address", "rotates", "revoked")}
    return told | {name: rfc3339(getattr(login, name)) for name in ("created", "used", "expires")}


def _print_lines(logins: Iterator[Login]) -> None:
    for login in logins:
        times = f"since {moment(login.created)}  used {moment(login.used)}  until {moment(login.expires)}"
        state = "  revoked" if login.revoked else ""
        click.echo(f"{login.id}  {login.user}  {login.client or '-'} at {login.address}  {times}{state}")


@token_commands.command("revoke")
@click.argument("login_id", metavar="[ID]", required=False)
@click.option("--user", metavar="USER", help="Revoke all of this user.")
@_directory
@config_option
@click.pass_obj
def revoke_tokens(
    load: LoadConfiguration, login_id: str | None, user: str | None, directory: str | None, config: str | None
) -> None:
    """Revoke the login ID, or all of a user.

    The refresh token is refused at once; what it was exchanged for runs out.
    """
    if (login_id is None) == (user is None):
        raise click.UsageError("give the ID of a login, or --user")
    recording = Recording.prepare(load, config)
    revoked: list[Login] = []
    with one_line():
        logins = _logins(load, config, directory)
        for login in logins.all() if user is None else logins.of_user(user):
            if not login.revoked and login_id in {None, login.id}:
                logins.revoke(login)
                click.echo(f"revoked {login.id} of {login.user}")
                revoked.append(login)
    if not revoked:
        raise click.ClickException(f"there is no login {login_id}" if user is None else f"{user} has no login")
    # All of a user may be thousands, which are one change.
    which = {"login": revoked[0].id} if user is None else {"logins": str(len(revoked))}
    recording.record(REVOKE, LOGINS, user=revoked[0].user, **which)


def _logins(load: LoadConfiguration, config: str | None, directory: str | None) -> Logins:
    from auth.controllers.local import logins_directory  # noqa: PLC0415  no other command needs all that this loads
    from auth.tokenservice.logins import Logins  # noqa: PLC0415

    if directory is None:
        try:
            directory = logins_directory(Parameters(section_of(load, config, "local").parameters))
        except ParameterError as error:
            raise ConfigurationError("auth.local", str(error)) from error
    return Logins(directory)
