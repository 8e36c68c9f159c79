"""Opens a registry behind a URL for the commands that take ``--url``."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.commands.passwords import ask_password
from registry.foundation.registry_url import RegistryUrl, parse_registry_url
from registry.inventory.docker_config import stored_login
from registry.inventory.login import Credentials, Session
from registry.inventory.remote import RemoteSource

if TYPE_CHECKING:
    from registry.commands.source import Place


def open_remote(place: Place) -> RemoteSource:
    """Return the registry at ``--url``, with the login that the options or docker's file have for it.

    Raises:
        InventoryError: that file cannot be read.
    """
    if place.config is not None:
        raise click.UsageError("give --config or --url, not both")
    try:
        url = parse_registry_url(place.url or "")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    return RemoteSource(Session(url.address, _credentials(place, url), _context(place, url)))


def _credentials(place: Place, url: RegistryUrl) -> Credentials | None:
    if place.user is None:
        if place.password_stdin:
            raise click.UsageError("--password-stdin goes with --user")
        if url.user is not None:
            return Credentials(url.user, url.password or "")
        return stored_login(_docker_config(), url.host)
    name, colon, password = place.user.partition(":")
    if not name:
        raise click.BadParameter("is empty", param_hint="--user")
    if place.password_stdin:
        return Credentials(name, sys.stdin.readline().rstrip("\r\n"))
    return Credentials(name, password if colon else ask_password("--password-stdin", err=True))


def _docker_config() -> Path:
    directory = os.environ.get("DOCKER_CONFIG")
    return (Path(directory) if directory else Path(os.path.expanduser("~/.docker"))) / "config.json"  # noqa: PTH111  without a home it is no error


def _context(place: Place, url: RegistryUrl) -> ssl.SSLContext | None:
    if not url.address.startswith("https:"):
        return None
    context = ssl.create_default_context()
    if place.ca_file:
        try:
            context.load_verify_locations(place.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise click.BadParameter(f"{place.ca_file} has no certificate: {error}", param_hint="--ca-file") from error
    if place.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
