"""The actions on a repository that rules grant, and that API keys are limited to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ACTIONS: Final = ("pull", "push", "delete", "overwrite")
"""What a rule grants; push writes new tags only, overwrite moves those that exist.

Whoever may push needs overwrite to delete a tag, too: a tag that was deleted can be pushed again, which would move it.
"""

_NEEDS: Final = {"push": "pull", "overwrite": "push"}


def checked_actions(where: str, actions: Sequence[str]) -> Sequence[str]:
    """Return `actions`, or all that there are for ``["*"]``.

    Raises:
        ValueError: one is none, or is of no use without another; the text begins with `where`.
    """
    if list(actions) == ["*"]:
        return ACTIONS
    for action in actions:
        if action not in ACTIONS:
            raise ValueError(f"{where}: {action!r} is not an action; there are {', '.join(ACTIONS)} and ['*']")
        needed = _NEEDS.get(action)
        if needed is not None and needed not in actions:
            raise ValueError(f"{where}: {action} is of no use without {needed}")
    return actions
