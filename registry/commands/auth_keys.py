"""Making, listing and revoking API keys, in the file or in the storage, as the configuration says."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from auth.identities.apikey import wish
from auth.identities.apikeys import ApiKeyStore
from auth.identities.key_file import KeyFile
from auth.identities.key_records import KEPT_IN_STORAGE, KeyRecords
from registry.audit.record import CREATE, KEY, REVOKE
from registry.commands.access import config_option, htpasswd_path, moment, one_line, records_of, section_of
from registry.commands.auditing import Recording
from registry.commands.layout import Group, examples, json_option
from registry.commands.printing import print_json_array
from registry.config import ConfigurationError
from registry.foundation import durations
from registry.foundation.files import read_file
from registry.foundation.printable import printable
from registry.foundation.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from auth.identities.apikey import ApiKey
    from registry.commands.access import LoadConfiguration


@click.group("key", cls=Group)
def key_commands() -> None:
    """Make, list and revoke API keys: passwords for machines."""


_FILE_HELP = "The file of keys, if not that of the configuration."
_file = click.option("--file", "path", metavar="FILE", help=_FILE_HELP)
_existing_file = click.option(
    "--file", "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help=_FILE_HELP
)


@key_commands.command(
    epilog=examples(
        "registry auth key create --user ci --expires 90d --config config.yml",
        "registry auth key create --user ci --expires 90d --repositories 'team/**'",
    )
)
@click.option("--user", required=True, metavar="USER", help="The user whose rights the key has.")
@click.option("--expires", required=True, metavar="DURATION", help="For how long it is good: 90d, 12h, or never.")
@click.option("--name", default="", metavar="NAME", help="What the key is called.")
@click.option("--repositories", default="", metavar="GLOBS", help="The repositories that it is for: team/**,public/*.")
@click.option("--actions", default="", metavar="ACTIONS", help="What it may do: some of pull,push,delete,overwrite.")
@click.option("--json", "in_json", is_flag=True, help="Print the key with all that is told of it as JSON.")
@_file
@config_option
@click.pass_obj
def create(  # noqa: PLR0913, PLR0917 - one for each option
    load: LoadConfiguration,
    user: str,
    expires: str,
    name: str,
    repositories: str,
    actions: str,
    path: str | None,
    config: str | None,
    *,
    in_json: bool,
) -> None:
    """Make a key and print it, this once."""
    if not user or ":" in user:
        raise click.BadParameter("a user name is not empty and has no colon", param_hint="--user")
    lifetime_seconds = _lifetime_seconds(expires)
    recording = Recording.prepare(load, config)
    with one_line():
        # Before the storage is opened, which is worked on as the user whose it is: the file may be another's.
        bound = user in _users_with_password(load, config)
    with one_line(), _store(load, config, path) as store:
        wished = wish(user, store.ends(lifetime_seconds), name, _listed(repositories), _listed(actions))
        key, text = store.grant(wished, bound=bound)
    click.echo(f"key {key.id} of {user}, good until {moment(key.expires)}; it is not shown again:", err=True)
    if not bound:
        click.echo(f"{user} has no password in the configured htpasswd file: the key does not end with one", err=True)
    click.echo(json.dumps({**_told(key, key.created), "key": text}) if in_json else text)
    recording.record(CREATE, KEY, key=key.id, user=user)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _lifetime_seconds(expires: str) -> int | None:
    try:
        seconds = None if expires == "never" else int(durations.parse(expires))
    except ValueError:
        seconds = 0
    if seconds is not None and seconds < 1:
        text = f"must be a duration such as 90d or 12h, of at least a second, or never, not {expires!r}"
        raise click.BadParameter(text + durations.hint(expires, "d"), param_hint="--expires")
    return seconds


@key_commands.command("list")
@json_option
@_existing_file
@config_option
@click.pass_obj
def list_keys(load: LoadConfiguration, path: str | None, config: str | None, *, in_json: bool) -> None:
    """List the keys, oldest first."""
    with one_line(), _store(load, config, path) as store:
        keys = store.list()
    now = datetime.now(UTC).timestamp()
    if in_json:
        print_json_array(_told(key, now) for key in keys)
        return
    for key in keys:
        state = "" if key.alive(now) else "  expired"
        times = f"created {moment(key.created)}  until {moment(key.expires)}{_used(key)}"
        click.echo(f"{key.id}  {key.user}  {times}{state}{_about(key)}")


def _used(key: ApiKey) -> str:
    return "" if key.used is None else f"  used {rfc3339(key.used)[:10]}"


def _about(key: ApiKey) -> str:
    """Return what a key is called, and what it is limited to."""
    actions = ",".join(key.actions) or "everything"
    limits = f"  {actions} in {','.join(key.repositories) or 'all repositories'}" if key.limited else ""
    return printable(limits + (f"  {key.name}" if key.name else ""))


def _told(key: ApiKey, now: float) -> dict[str, object]:
    expires = None if key.expires is None else rfc3339(key.expires)
    times = {"created": rfc3339(key.created), "expires": expires}
    limits = {"repositories": list(key.repositories), "actions": list(key.actions)}
    used = None if key.used is None else rfc3339(key.used)[:10]
    told = {"id": key.id, "user": key.user, "name": key.name, **times, "expired": not key.alive(now)}
    return {**told, "used": used, **limits}


@key_commands.command()
@click.argument("key_id", metavar="ID")
@_existing_file
@config_option
@click.pass_obj
def revoke(load: LoadConfiguration, key_id: str, path: str | None, config: str | None) -> None:
    """Revoke the key ID; what it logged in is out at once."""
    recording = Recording.prepare(load, config)
    with one_line(), _store(load, config, path) as store:
        revoked = store.revoke(key_id)
    if not revoked:
        raise click.ClickException(f"there is no key {key_id}")
    click.echo(f"revoked {key_id}")
    recording.record(REVOKE, KEY, key=key_id)


def _users_with_password(load: LoadConfiguration, config: str | None) -> Collection[str]:
    """Return the users of the htpasswd file of the configuration; none where there is no configuration or no file."""
    from auth.identities.passwords import parse  # noqa: PLC0415  no other command but htpasswd needs bcrypt

    try:
        content = read_file(htpasswd_path(section_of(load, config, "local")))
    except (ConfigurationError, FileNotFoundError):
        return ()
    return parse(content).hashes.keys()


@contextlib.contextmanager
def _store(load: LoadConfiguration, config: str | None, path: str | None) -> Iterator[ApiKeyStore]:
    """Give the keys in the file at `path`, or where the configuration has them."""
    if path is None:
        configured = section_of(load, config, "local").parameters.get("apikeys")
        if configured == KEPT_IN_STORAGE:
            place = KeyRecords()
            with records_of(load(config), "auth.local.apikeys") as records:
                place.keep(records)
                yield ApiKeyStore(place)
            return
        if not isinstance(configured, str):
            raise ConfigurationError("auth.local.apikeys", "is not there; name the file with --file")
        path = configured
    yield ApiKeyStore(KeyFile(path))
