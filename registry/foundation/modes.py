"""What the mode of a file lets a user do, as far as modes tell: the kernel judges by more than these."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Container


def permits(status: os.stat_result, uid: int, groups: Container[int], use: int) -> bool:
    """Tell whether the mode lets user `uid` of `groups` do all of `use`.

    As for os.access(), read is 4, write 2, execute 1.
    """
    if status.st_uid == uid:
        shift = 6
    elif status.st_gid in groups:
        shift = 3
    else:
        shift = 0
    return status.st_mode >> shift & use == use
