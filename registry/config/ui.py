"""``ui``: the pages that people open in a browser. The section is ours; without it nothing of them is there.

Annotations are evaluated, as in ``values``.
"""

from dataclasses import dataclass, field
from typing import Annotated

from registry.config.schema import Mark

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Index:
    """``ui.index``: the directory of the file by which repositories are searched and sorted, one for each host.

    Without a `directory` there is none: a search then looks at the names of the first repositories only. All of the
    storage is read every `reconcile_seconds`, for what has changed without this registry.
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
