"""Runs a check as ``registry fsck`` does, and says what it has found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from registry.config.cached import NOTHING
from registry.fsck.absences import Absences
from registry.fsck.check import Check, Wish
from registry.fsck.contents import Contents
from registry.fsck.pacing import Pacer
from registry.fsck.store import Store
from registry.storage.descriptors import NoDescriptors
from registry.storage.runs import Runs
from registry.storage.validation import ValidationPolicy
from tests.archive.images import Quiet

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.config.cached import Cached
    from registry.fsck.check import Sum
    from registry.storage.descriptors import DescriptorCache

DAY = 24 * 3600


class Checked:
    """What a check has found: `said` are kind, place and status of each, in order."""

    def __init__(
        self,
        driver: StorageDriver,
        policy: ValidationPolicy | None = None,
        descriptors: DescriptorCache | None = None,
        *,
        relinks: bool = False,
        cached: Cached = NOTHING,
        **wish: Any,
    ) -> None:
        policy = policy or ValidationPolicy()
        wished = Wish(**{"leftovers_before": time.time() - DAY, **wish})
        with Contents(driver, Pacer(), Quiet()) as contents:
            store = Store(
                driver,
                contents,
                Runs(driver),
                descriptors or NoDescriptors(),
                may_link_blobs=not policy.sparse,
                relinks=relinks,
            )
            check = Check(store, Absences(policy, cached), wished, show=lambda _: None)
            self.findings = list(check.run())
            self.sum: Sum = check.sum
            self.read_bytes = contents.read_bytes

    @property
    def said(self) -> list[tuple[str, str, str]]:
        return [(each.damage.kind, each.damage.where, str(each.status)) for each in self.findings]

    def affected(self, kind: str) -> list[tuple[str, ...]]:
        return [each.damage.affected.tags for each in self.findings if each.damage.kind == kind]
