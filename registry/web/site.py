"""What the pages of a process have in common: where they are, their templates, who writes their cookies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from registry.browsing.attached import Attachments, Summaries
from registry.foundation.recent import RecentlyUsedByWeight
from registry.handlers.flask_internals import current_app
from registry.handlers.urls import path_of_pages
from registry.web import words
from registry.web.departures import Departures
from registry.web.links import Links
from registry.web.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from registry.services import Services

EXTENSION: Final = "registry.web"
"""Under which name a Flask application has its Site among its extensions."""

_VERSION_DIGITS: Final = 12
_README_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of an application.

    `static` are the files that they load, by name. `summaries` are of attached documents, and `attachments` those that
    were shown last; `readmes` are the texts that were made HTML last, by their SHA-256.
    """

    title: str
    links: Links
    sessions: Sessions
    departures: Departures
    templates: Environment
    static: Mapping[str, bytes]
    summaries: Summaries
    attachments: Attachments
    readmes: RecentlyUsedByWeight[bytes, Markup]


def build_site(services: Services) -> Site:
    """Return the pages of `services`, with every static file in memory: there are few, and they are small."""
    configuration = services.configuration
    static = {file.name: file.read_bytes() for file in files("registry.web").joinpath("static").iterdir()}
    digest = hashlib.sha256(b"".join(static[name] for name in sorted(static))).hexdigest()
    session = configuration.ui.session
    templates = Environment(
        loader=PackageLoader("registry.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=words.shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(words.FILTERS)
    return Site(
        title=configuration.ui.title,
        links=Links(path_of_pages(configuration), digest[:_VERSION_DIGITS]),
        sessions=Sessions(services.secret, session.lifetime_seconds, session.idle_seconds),
        departures=Departures(services.secret),
        templates=templates,
        static=static,
        summaries=Summaries(),
        attachments=Attachments(),
        readmes=RecentlyUsedByWeight(_README_BYTES, len),
    )


def site() -> Site:
    """Return the pages of the current application."""
    found: Site = current_app().extensions[EXTENSION]
    return found
