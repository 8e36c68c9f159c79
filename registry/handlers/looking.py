"""What pages and the API's extension look at images with: both remember what they have seen, and both take turns.

It is imported where one of the two is served, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.browsing.images import Images
from registry.handlers.flask_internals import current_app
from registry.handlers.turn import Turn
from registry.inventory.local import StorageReader

if TYPE_CHECKING:
    from flask import Flask

    from registry.ports import Repositories

_EXTENSION: Final = "registry.looking"
"""Under which name a Flask application has this among its extensions."""


@dataclass(frozen=True, slots=True)
class Looking:
    """`images` are those of the storage, as they are kept here: nothing is fetched from another registry to be shown.

    `turn` has who reads documents that strangers have pushed.
    """

    images: Images
    turn: Turn


def install(app: Flask, repositories: Repositories) -> None:
    """Let the views of `app` look at `repositories`."""
    app.extensions[_EXTENSION] = Looking(Images(StorageReader(repositories)), Turn())


def looking() -> Looking:
    """Return what the views of the current application look with."""
    found: Looking = current_app().extensions[_EXTENSION]
    return found
