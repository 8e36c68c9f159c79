"""The way to a path, walked by root without following what an unprivileged user may have put there.

Who may write to a directory can put a symbolic link into it, to have root change what the link leads to. A link is
followed only where that user cannot have made it: in a directory in which it can replace nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.foundation import modes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.container.user import User

_MOST_LINKS: Final = 40
"""As many as Linux follows: path_resolution(7)."""
_STEP_FLAGS: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Step:
    """A file or directory on the way, held open so that its name may change meanwhile."""

    path: str
    descriptor: int
    status: os.stat_result

    def open(self, flags: int) -> int:
        """Return a new descriptor of the same file."""
        return os.open(f"/proc/self/fd/{self.descriptor}", flags | os.O_CLOEXEC)

    def add_mode(self, bits: int) -> None:
        """Add `bits` to the mode."""
        os.chmod(f"/proc/self/fd/{self.descriptor}", stat.S_IMODE(self.status.st_mode) | bits)  # noqa: PTH101

    def give(self, uid: int, gid: int) -> None:
        """Change the owner; -1 leaves the group."""
        os.chown(f"/proc/self/fd/{self.descriptor}", uid, gid)

    def may_be_emptied(self, user: User) -> bool:
        """Tell whether `user` may replace in this directory what another user has there."""
        if not stat.S_ISDIR(self.status.st_mode):
            return False
        sticky = self.status.st_mode & stat.S_ISVTX
        return self.status.st_uid == user.uid or (not sticky and permits(self.status, user, os.W_OK))


@contextmanager
def way_to(path: str, user: User, *, make: bool = False) -> Iterator[list[Step]]:
    """Give every directory on the way to `path`, those of links too, and at the end what is there.

    With `make` the directories that are missing are made.

    Raises:
        OSError: it is not there, or behind a symbolic link that `user` may have made.
    """
    with ExitStack() as stack:
        steps = [_step(stack, "/", None, "/")]
        here, rest = steps[0], _names(str(Path(path).absolute()))
        links = 0
        while rest:
            name = rest.pop()
            try:
                step = _step(stack, name, here.descriptor, str(Path(here.path) / name))
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(name, dir_fd=here.descriptor)
                step = _step(stack, name, here.descriptor, str(Path(here.path) / name))
            if not stat.S_ISLNK(step.status.st_mode):
                steps.append(step)
                here = step
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if _may_have_made(step, here, user):
                raise OSError(errno.ELOOP, f"user {user} may have made the symbolic link {step.path}", path)
            target = os.readlink("", dir_fd=step.descriptor)
            here = steps[0] if target.startswith("/") else here
            rest += _names(target)
        if here is not steps[-1]:  # a link to a directory that was passed
            steps.append(here)
        yield steps


def may_be_replaced(path: str, user: User) -> bool:
    """Tell whether `user` may replace what is at `path`, or will be, or what leads there."""
    try:
        with way_to(path, user) as steps:
            return any(step.may_be_emptied(user) for step in steps[:-1])
    except FileNotFoundError:
        # Something may be made where a link leads to.
        return os.path.islink(path) or may_be_replaced(str(Path(path).absolute().parent), user)  # noqa: PTH114  any text
    except OSError:
        return True


def permits(status: os.stat_result, user: User, use: int) -> bool:
    """Tell whether the mode lets `user` do all of `use`: read is 4, write 2, execute 1, as for os.access()."""
    return modes.permits(status, user.uid, {user.gid}, use)


def _step(stack: ExitStack, name: str, parent: int | None, path: str) -> Step:
    descriptor = os.open(name, _STEP_FLAGS, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return Step(path, descriptor, os.fstat(descriptor))


def _names(path: str) -> list[str]:
    """Return the names in `path`, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _may_have_made(link: Step, directory: Step, user: User) -> bool:
    shared = directory.status.st_mode & stat.S_ISVTX and link.status.st_uid not in (0, directory.status.st_uid)
    return directory.may_be_emptied(user) or bool(shared)
