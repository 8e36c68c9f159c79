"""The unprivileged user that a container goes on as, and the way there."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.container.signals import keep_for_the_next_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import NoReturn

VARIABLE: Final = "RUN_AS"
_SETPRIV: Final = "setpriv"


class Capability(IntEnum):
    """Capabilities by their numbers and names, as in capabilities(7)."""

    DAC_OVERRIDE = 1
    """Use files whatever their modes say."""
    SETPCAP = 8
    """Give up capabilities for good."""
    NET_BIND_SERVICE = 10
    """Listen on ports below 1024."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the container, by numbers: it need not be in ``/etc/passwd``."""

    uid: int = 1000
    gid: int = 0

    @classmethod
    def parse(cls, text: str) -> User:
        """Return the user that `text`, ``UID`` or ``UID:GID``, names; "" is the default.

        Raises:
            ValueError: it is neither.
        """
        if not text:
            return cls()
        numbers = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", text)
        if not numbers:
            raise ValueError(f"{VARIABLE}: {text!r} is not UID or UID:GID, in numbers")
        return cls(int(numbers[1]), int(numbers[2] or 0))

    def __str__(self) -> str:
        """Return it as chown and ``docker run --user`` take it."""
        return f"{self.uid}:{self.gid}"


def ask_as(user: User, question: Callable[[], list[str]]) -> list[str]:
    """Return what `question` returns in a process of `user`.

    What a user may do is asked of the kernel, because modes do not tell all: there are access control lists, servers of
    files with rules of their own, and file systems that do not keep owners.

    Raises:
        OSError: this process cannot become that user.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiving)
        _answer(user, question, sending)
    os.close(sending)
    with open(receiving, "rb") as pipe:  # noqa: PTH123  a descriptor has no path
        answer = pipe.read()
    os.waitpid(child, 0)
    said = json.loads(answer or b"0")
    if isinstance(said, list):
        return said
    raise OSError(said, os.strerror(said))


def _answer(user: User, question: Callable[[], list[str]], sending: int) -> NoReturn:
    answer: list[str] | int = 0
    try:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        answer = question()
    except OSError as error:
        answer = error.errno or 0
    finally:
        with open(sending, "wb") as pipe:
            pipe.write(json.dumps(answer).encode())
        os._exit(0)


def may_pass_on(capability: Capability) -> bool:
    """Tell whether this process has `capability`, and so could leave it to the user that it becomes."""
    return bool(_held() >> capability & 1)


def become(user: User, command: Sequence[str], keep: Iterable[Capability]) -> NoReturn:
    """Replace this process by `command`, executed as `user` with what it has of the capabilities `keep`, and no other.

    Signals that end it are blocked: `command` has to call end_on_signals().

    Raises:
        OSError: there is no setpriv.
    """
    names = [each.name.lower() for each in keep if may_pass_on(each)]
    kept = ",".join(["-all", *(f"+{name}" for name in names)])
    options = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--no-new-privs"]
    options += [f"--inh-caps={kept}", f"--ambient-caps={kept}"]
    if may_pass_on(Capability.SETPCAP):
        options.append(f"--bounding-set={kept}")
    sys.stdout.flush()
    sys.stderr.flush()
    _hand_over_output(user)
    # Advice on who could serve instead depends on it.
    os.environ[VARIABLE] = str(user)
    keep_for_the_next_program()
    os.execvp(_SETPRIV, [_SETPRIV, *options, "--", *command])  # noqa: S606  no shell is what is wanted


def _hand_over_output(user: User) -> None:
    """Let `user` open ``/dev/stdout`` and ``/dev/stderr``, as the runtime does for the user that it starts."""
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
                os.fchown(descriptor, user.uid, -1)


def _held() -> int:
    """Return the capabilities that this process may use, a bit for each."""
    found = re.search(r"^CapPrm:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1], 16) if found else 0
