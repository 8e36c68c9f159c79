"""Processes in every order of their steps.

A process is written as a generator, as if it ran alone: it yields a call and is sent the answer. Where a generator
stands is known by its frames, that is, line and local variables; so two ways to the same place are one. Therefore
nothing but local variables may make a difference to what it does next: no value may be between two yields that has no
name. To get to a place again, the answers that have led there are sent to a new generator; this is done once for a
place and an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.lifecycle.model.store import Call, LostError, Store, assert_nothing_is_lost, ended

if TYPE_CHECKING:
    from collections.abc import Sequence

Steps = Generator[Call, Any, Any]
Program = Callable[[int], Steps]
"""What begins a process, which has died so many times."""

_START: Final = 0
_LIMIT: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands: the call that it makes next, None if it has ended; and how it got there."""

    call: Call | None
    deaths: int
    answers: tuple[Any, ...]
    text: str


class Process:
    """A program, with the places that it was found at."""

    def __init__(self, name: str, program: Program, *, mortal: bool = False) -> None:
        self.name = name
        self.mortal = mortal
        self._program = program
        self.places: list[Place] = []
        self._known: dict[object, int] = {}
        self._next: dict[tuple[int, Any], int] = {}
        self._begin(0)

    def after(self, place: int, answer: Any) -> int:
        """Return where the process stands when the call at `place` was answered."""
        key = place, answer
        found = self._next.get(key)
        if found is None:
            came = self.places[place]
            found = self._next[key] = self._go(came.deaths, (*came.answers, answer))
        return found

    def reborn(self, place: int) -> int:
        """Return where the process that takes over begins when this one dies at `place`."""
        return self._begin(self.places[place].deaths + 1)

    def _begin(self, deaths: int) -> int:
        return self._go(deaths, ())

    def _go(self, deaths: int, answers: tuple[Any, ...]) -> int:
        steps = self._program(deaths)
        call = None
        try:
            call = next(steps)
            for answer in answers:
                call = steps.send(answer)
        except StopIteration:
            call = None
        where = _where(steps) if call else "ended"
        key = deaths, where
        if key not in self._known:
            self._known[key] = len(self.places)
            self.places.append(Place(call, deaths, answers, where))
        return self._known[key]


def _where(steps: Steps) -> str:
    """Return where a generator stands, with those that it waits for."""
    frames = []
    inner: Any = steps
    while inner is not None:
        frame = inner.gi_frame
        frames.append(f"{frame.f_code.co_name}:{frame.f_lasti} {sorted(frame.f_locals.items())!r}")
        inner = inner.gi_yieldfrom
    return " > ".join(frames)


State = tuple[Store, tuple[int, ...]]


def explore(store: Store, processes: Sequence[Process], *, deaths: int = 0) -> int:
    """Let `processes` run over `store` in every order; return in how many states all were seen.

    A mortal one may die at any call, `deaths` times at most.

    Raises:
        LostError: something was lost; the text has the steps that led there.
    """
    first: State = store, (_START,) * len(processes)
    came: dict[State, State | None] = {first: None}
    waiting = [first]
    while waiting:
        state = waiting.pop()
        try:
            for after in _successors(state, processes, deaths):
                if after not in came:
                    came[after] = state
                    assert_nothing_is_lost(after[0])
                    waiting.append(after)
        except LostError as error:
            raise LostError(f"{error}\n{_story(state, came, processes)}") from error
        if len(came) > _LIMIT:
            raise RuntimeError("too many states; take fewer processes")
    return len(came)


def _successors(state: State, processes: Sequence[Process], deaths: int) -> list[State]:
    store, places = state
    found: list[State] = []
    for me, process in enumerate(processes):
        call = process.places[places[me]].call
        if call is None:
            continue
        for after, answer in call(store, me) or ():
            place = process.after(places[me], answer)
            found.append((_noted(after, me, process, place), (*places[:me], place, *places[me + 1 :])))
        if process.mortal and store.deaths < deaths and store.run.is_on:
            reborn = process.reborn(places[me])
            found.append((store._replace(deaths=store.deaths + 1), (*places[:me], reborn, *places[me + 1 :])))
    return found


def _noted(store: Store, me: int, process: Process, place: int) -> Store:
    """Note whether a client has begun, and whether it has ended."""
    if process.mortal:
        return store
    if process.places[place].call is None:
        return ended(store._replace(under_way=store.under_way - {me}), me)
    return store if me in store.under_way else store._replace(under_way=store.under_way | {me})


def _story(state: State | None, came: dict[State, State | None], processes: Sequence[Process]) -> str:
    lines = []
    while state is not None:
        store, places = state
        stand = (f"{each.name} at {each.places[place].text}" for each, place in zip(processes, places, strict=True))
        lines.append(f"{store}\n    " + "\n    ".join(stand))
        state = came[state]
    return "\n".join(reversed(lines))
