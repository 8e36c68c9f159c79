"""The audit log as a consumer of the journal: it wants every change, and where each tag pointed before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from registry.config.outputs import syslog_target

if TYPE_CHECKING:
    from registry.config.events import Audit
    from registry.journal.change import Change

NAME: Final = "audit\0"
"""What entries for the audit log are addressed to. No endpoint can be called so: a configuration holds no NUL."""

_log = logging.getLogger(__name__)


class AuditConsumer:
    """Wants everything."""

    name = NAME
    wants_references = False
    wants_previous = True

    def wants(self, change: Change) -> bool:
        """Return True."""
        del change
        return True


def consumers(section: Audit) -> list[AuditConsumer]:
    """Return the audit log, if it is on."""
    return [AuditConsumer()] if section.enabled else []


def announce(section: Audit) -> None:
    """Say where the audit log goes, if it is on."""
    if section.enabled:
        syslog = syslog_target(section)
        outputs = ["the storage", *(["standard output"] if section.stdout else []), *([str(syslog)] if syslog else [])]
        _log.info("the audit log goes to %s", ", ".join(outputs))
