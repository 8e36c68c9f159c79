"""The section ``storage.maintenance.scrub``.

Part of ``values``, whose rules hold here too.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from registry.config.schema import Mark

_DAY: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Scrub:
    """``storage.maintenance.scrub``: whether the server looks for damage itself; `rate` in bytes a second, 0 for any.

    `deep` has it read the bytes of all blobs.
    """

    enabled: bool = False
    interval_seconds: Annotated[float, Mark.UNIT] = 7 * _DAY
    deep: bool = True
    rate: Annotated[int, Mark.SIZE] = 20 * 1024 * 1024
