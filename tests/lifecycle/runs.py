"""Runs of the garbage collection as tests have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.lifecycle.online import OnlineCollection, Surroundings, Terms
from registry.publishing import Operator, Publishing
from registry.storage.validation import ValidationPolicy

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.lifecycle.reports import Report

UNTAGGED = Terms(grace_seconds=0, untagged_seconds=lambda _: 0.0)
HOST = Surroundings("test")


def collect(driver: StorageDriver, terms: Terms = UNTAGGED, surroundings: Surroundings = HOST) -> Report:
    """Do a run, and return its report."""
    return OnlineCollection(driver, Publishing(ValidationPolicy(), Operator()), terms, surroundings).run()
