"""``ui``: the pages that people open in a browser. The section is ours; without it nothing of them is there.

Annotations are evaluated, as in ``values``.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Final

from registry.config.errors import ConfigurationError
from registry.config.schema import Mark
from registry.foundation.url_paths import lies_at

_HOUR = 3600.0
_is_path: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+").fullmatch
_is_host: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?").fullmatch
_TAKEN: Final = ("/v2", "/auth/token", "/healthz", "/readyz")
"""Where something else is served."""


@dataclass(frozen=True, slots=True)
class Index:
    """``ui.index``: the directory of the file by which repositories are searched and sorted, one for each host.

    Without a `directory` there is none: a search then looks at the names of the first repositories only. All of the
    storage is read at each start and every `reconcile_seconds`, for what has changed without this registry.
    """

    directory: str = ""
    reconcile_seconds: Annotated[float, Mark.UNIT] = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Session:
    """``ui.session``: how long somebody stays logged in, at most, and without doing anything."""

    lifetime_seconds: Annotated[float, Mark.UNIT] = 12 * _HOUR
    idle_seconds: Annotated[float, Mark.UNIT] = 2 * _HOUR


@dataclass(frozen=True, slots=True)
class UI:
    """``ui``.

    `path` is where the pages are, below ``http.prefix``. `host` is what the names of images begin with in commands;
    without it, the host that the browser has asked.
    """

    enabled: bool = False
    path: Annotated[str, Mark.URL_PATH] = "/ui"
    title: str = "Registry"
    host: str = ""
    index: Index = field(default_factory=Index)
    session: Session = field(default_factory=Session)


def check_ui(ui: UI) -> None:
    """Return if the pages can be served where `ui` says, and what lasts for a while does.

    Raises:
        ConfigurationError: they cannot.
    """
    if not ui.enabled:
        return
    if not _is_path(ui.path):
        raise ConfigurationError("ui.path", f"must be a path such as /ui, without a slash at its end, not {ui.path!r}")
    for taken in _TAKEN:
        if lies_at(ui.path, taken) or lies_at(taken, ui.path):
            raise ConfigurationError("ui.path", f"{ui.path} is in the way of {taken}")
    if ui.host and not _is_host(ui.host):
        raise ConfigurationError("ui.host", f"must be what names of images begin with, HOST[:PORT], not {ui.host!r}")
    lasting = {
        "ui.session.lifetime": ui.session.lifetime_seconds,
        "ui.session.idle": ui.session.idle_seconds,
        "ui.index.reconcile": ui.index.reconcile_seconds,
    }
    for key, seconds in lasting.items():
        if seconds <= 0:
            raise ConfigurationError(key, f"must be longer than 0s, not {seconds:g}s")
