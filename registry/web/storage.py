"""The page for maintainers: how this registry stores, and what periodic work has done. Each part is a few reads."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from flask import Blueprint

from registry import __version__
from registry.fsck.scrubbed import read_scrubbed
from registry.handlers.context import hand_over
from registry.handlers.current import services
from registry.lifecycle.status import status_of
from registry.quota.standing import standings
from registry.retention.reports import Reports
from registry.web.page import page, render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.handlers.response import Response
    from registry.retention.reports import Report
blueprint = Blueprint("web_storage", __name__)

_SHOWN: Final = 10
"""Reports of runs that the page has at most."""
_QUOTAS: Final = 100


@blueprint.get("/_storage")
@page
def show_storage() -> Response:
    """Show maintainers what ``registry gc status``, ``registry usage`` and the like tell on a terminal."""
    visitor().require_maintainer()
    hand_over()
    here = services()
    driver, maintenance = here.driver, here.configuration.storage.maintenance
    return render(
        "storage.html",
        facts=_facts(here.configuration),
        has_index=here.index is not None,
        progress=here.index and here.index.progress(),
        maintenance=maintenance,
        collections=status_of(driver, _SHOWN),
        quotas=list(islice(standings(driver, maintenance.quotas), _QUOTAS)),
        retentions=_retentions(driver),
        scrubbed=read_scrubbed(driver),
    )


def _facts(configuration: Configuration) -> dict[str, str]:
    """Return what the configuration says of the storage, by what people call it; nothing that is secret."""
    storage = configuration.storage
    facts = {
        "Version": __version__,
        "Driver": storage.driver,
        "Deletion": "on" if storage.delete.enabled else "off (storage.delete.enabled)",
        "Read-only": "yes" if storage.maintenance.readonly.enabled else "no",
    }
    middleware = ", ".join(each.name for each in configuration.middleware.get("storage", ()))
    upstreams = ", ".join(each.name for each in configuration.upstreams)
    return facts | {name: told for name, told in (("Middleware", middleware), ("Caches", upstreams)) if told}


def _retentions(driver: StorageDriver) -> list[Report]:
    """Return what the last runs of retention have done, the latest first."""
    reports = Reports(driver)
    found = (reports.report(number) for number in reports.numbers()[: -_SHOWN - 1 : -1])
    return [each for each in found if each]
