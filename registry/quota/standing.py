"""How the quotas stand, for people and programs that ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.quota.groups import Groups
from registry.quota.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.config.quotas import Quota


@dataclass(frozen=True, slots=True)
class Standing:
    """How many bytes the repositories of a quota may have and have, and when all of that was counted last.

    `quota` is its pattern, `counted` in seconds since 1970, None if it was never counted.
    """

    quota: str
    limit: int
    used: int
    percent: int
    counted: float | None


def standings(
    driver: StorageDriver, quotas: Sequence[Quota], repositories: Iterable[str] | None = None
) -> Iterator[Standing]:
    """Yield how each of `quotas` stands; given `repositories`, only those that one of these belongs to.

    Raises:
        DriverError: the storage fails.
    """
    groups, ledger = Groups(quotas), Ledger(driver)
    asked = set(groups) if repositories is None else {groups.of(each) for each in repositories}
    for group in groups:
        if group in asked:
            used = ledger.used(group.label)
            yield Standing(group.pattern, group.limit, used, group.percent(used), ledger.counted(group.label))
