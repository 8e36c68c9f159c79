"""Logins that docker, podman and others keep in ``config.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.foundation.docker_config import DockerConfig
from registry.inventory.login import Credentials
from registry.inventory.source import InventoryError

if TYPE_CHECKING:
    from pathlib import Path


def stored_login(path: Path, host: str) -> Credentials | None:
    """Return the login for `host`, with its port if it has one, in the file at `path`; None if there is none.

    Logins that a helper program keeps (``credsStore``) are not looked for.

    Raises:
        InventoryError: the file cannot be read.
    """
    try:
        config = DockerConfig.parse(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InventoryError(f"{path} cannot be read: {error}") from error
    found = (entry for entry in config.entries if entry.host == host.lower() and (entry.user or entry.secret))
    return next((Credentials(entry.user, entry.secret) for entry in found), None)
