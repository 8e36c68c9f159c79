"""A trial of a configuration: all that ``serve`` does before it listens, with nothing made and nothing opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from registry.config import Findings
from registry.observation.tracing import exporter_of
from registry.server import binding
from registry.server.starting import examine, examine_storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.config import Configuration


def try_out(configuration: Configuration, environ: Mapping[str, str]) -> list[str]:
    """Return what is worth knowing of a configuration that can be served.

    Raises:
        ConfigurationError: it cannot be.
    """
    notes = []
    findings = Findings()
    with configuration.origins.locating():
        with findings.gathered():
            exporter_of(environ)
        with findings.gathered():
            examined = examine(configuration)
            with findings.gathered():
                absent = examine_storage(configuration, examined.storage)
                if absent:
                    notes.append(f"{absent} does not exist: it is made at the start")
            for key, address in binding.addresses_of(configuration.http).items():
                with findings.gathered():
                    binding.try_out(address, key)
        findings.conclude()
    if not configuration.http.secret:
        notes.append("http.secret is not given: uploads do not survive a restart, nor another registry beside this one")
    if os.geteuid() == 0:
        notes.append("this was tried as root: what the registry may read, write and listen on depends on its user")
    return notes
