"""The section ``storage.maintenance.quotas``, and what its entries may be.

Part of ``values``, whose rules hold here too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from registry.config.errors import ConfigurationError, Findings
from registry.config.schema import Mark, Maximum
from registry.foundation.globs import Glob

QUOTAS: Final = "storage.maintenance.quotas"


@dataclass(frozen=True, slots=True)
class Quota:
    """``storage.maintenance.quotas[]``: bytes that some repositories may have together, and at which percent to warn.

    A `warn` of 0 is never.
    """

    repositories: str = ""
    limit: Annotated[int, Mark.SIZE] = 0
    warn: Annotated[int, Maximum(100)] = 90


def refuse_wrong_quotas(quotas: tuple[Quota, ...]) -> None:
    """Return if each quota says of which repositories it is, no two of the same, and how much these may have.

    Raises:
        ConfigurationError: one does not.
    """
    findings = Findings()
    owners: dict[str, int] = {}
    for index, quota in enumerate(quotas):
        key = f"{QUOTAS}[{index}]"
        with findings.gathered():
            _check_repositories(quota, key)
        with findings.gathered():
            _check_limit(quota, key)
        owner = owners.setdefault(quota.repositories, index)
        with findings.gathered():
            if owner != index and quota.repositories:
                raise ConfigurationError(
                    f"{key}.repositories", f"{quota.repositories} has a quota in quotas[{owner}] already; remove one"
                )
    findings.conclude()


def warn_quotas(quotas: tuple[Quota, ...]) -> Iterator[str]:
    """Yield a warning for each quota that no repository can have."""
    for index, quota in enumerate(quotas):
        text = quota.repositories
        if ":" in text or text != text.lower():
            where = f"{QUOTAS}[{index}].repositories"
            yield f"{where}: does not match any repository: a name has no capital letters and no tag"


def _check_repositories(quota: Quota, key: str) -> None:
    where = f"{key}.repositories"
    if not quota.repositories:
        raise ConfigurationError(where, "missing: write the repositories that share the quota, for example team/**")
    try:
        Glob.parse(quota.repositories)
    except ValueError as error:
        raise ConfigurationError(where, f"{error}; write, for example, team/**") from None


def _check_limit(quota: Quota, key: str) -> None:
    if not quota.limit:
        raise ConfigurationError(
            f"{key}.limit", "must be more than 0: write how much may be stored, for example 500GiB"
        )
