"""Who may do what with which repository: one rule decides, the one with the longest matching glob."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth.actions import checked_actions
from registry.foundation.globs import Glob
from registry.foundation.recent import MOST_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

ANONYMOUS = "anonymous"
AUTHENTICATED = "authenticated"


@dataclass(frozen=True, slots=True)
class Rule:
    """What each principal may do with the repositories that `glob` matches.

    Principals are ``anonymous`` (everybody), ``authenticated`` (everybody who logged in), ``group:<name>``
    and ``user:<name>``. Who is several of them may do all that any of them may.
    """

    glob: Glob
    number: int
    grants: Mapping[str, frozenset[str]]

    def __str__(self) -> str:
        return f"rule {self.number} ({self.glob.text})"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether `user` ("" for anonymous) may do `action` with `repository`, and why."""

    user: str
    repository: str
    action: str
    rule: Rule | None
    principals: tuple[str, ...]
    """Those of the rule's principals that `user` is and that may do it."""

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return bool(self.principals)

    def __str__(self) -> str:
        who, may = self.user or ANONYMOUS, "may" if self.allowed else "may not"
        text = f"{who} {may} {self.action} {self.repository}: "
        if self.rule is None:
            return text + "no rule is for this repository"
        if not self.allowed:
            return text + f"{self.rule} does not grant it"
        return text + f"{self.rule} grants it to {' and '.join(self.principals)}"


def _in_none(user: str) -> Collection[str]:
    del user
    return ()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Groups whose members other servers tell: their `names`, and in which of them a user is.

    They are beside the groups of the rules; a group may have members in both.
    """

    names: frozenset[str] = frozenset()
    groups_of: Callable[[str], Collection[str]] = _in_none


NOWHERE = Elsewhere()


class Policy:
    """All rules, the groups that they speak of, and the principals who maintain the whole registry."""

    def __init__(
        self,
        rules: Iterable[Rule],
        groups: Mapping[str, frozenset[str]],
        maintainers: Iterable[str] = (),
        elsewhere: Elsewhere = NOWHERE,
    ) -> None:
        # The sort is stable: among globs of one length, the first in the file comes first.
        self._rules = sorted(rules, key=lambda rule: rule.glob.length, reverse=True)
        self._groups = groups
        self._maintainers = tuple(maintainers)
        self._elsewhere = elsewhere
        # A catalog asks about every repository it lists, again for every page.
        self._rule_for = functools.lru_cache(maxsize=MOST_ENTRIES)(self._find)

    def decide(self, user: str, repository: str, action: str) -> Decision:
        """Return whether `user` ("" for anonymous) may do `action` with `repository`."""
        rule = self._rule_for(repository)
        grants = rule.grants if rule else {}
        principals = tuple(
            principal for principal, actions in grants.items() if action in actions and self._is(user, principal)
        )
        return Decision(user, repository, action, rule, principals)

    def decide_untag(self, user: str, repository: str) -> Decision:
        """Return whether `user`, who may delete, may delete a tag of `repository`; otherwise as decide()."""
        pushes = self.decide(user, repository, "push").allowed
        return self.decide(user, repository, "overwrite" if pushes else "delete")

    def maintains(self, user: str) -> bool:
        """Tell whether `user` may do what concerns the whole registry, such as a garbage collection."""
        return bool(user) and any(self._is(user, principal) for principal in self._maintainers)

    def _find(self, repository: str) -> Rule | None:
        return next((rule for rule in self._rules if rule.glob.matches(repository)), None)

    def _is(self, user: str, principal: str) -> bool:
        kind, _, name = principal.partition(":")
        if kind == ANONYMOUS:
            return True
        if not user or kind == AUTHENTICATED:
            return bool(user)
        if kind == "user":
            return user == name
        return user in self._groups.get(name, ()) or (
            name in self._elsewhere.names and name in self._elsewhere.groups_of(user)
        )


class PolicyError(ValueError):
    """The values describe no policy; the text says where and what to change, `path` is ``rules[0].user:bob``."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text)
        self.path = path


def parse_policy(rules: object, groups: object, maintainers: object = None, elsewhere: Elsewhere = NOWHERE) -> Policy:
    """Return the policy that the values of a YAML document describe, which may speak of groups `elsewhere` as well.

    Raises:
        PolicyError: they describe none.
    """
    members = _groups({} if groups is None else groups)
    if not isinstance(rules, list):
        raise PolicyError("rules must be a list", "rules")
    known = members.keys() | elsewhere.names
    parsed = [rule for number, entry in enumerate(rules, 1) for rule in _rules(number, entry, known)]
    first: dict[str, Rule] = {}
    for rule in parsed:
        if first.setdefault(rule.glob.text, rule) is not rule:
            numbers = f"{first[rule.glob.text].number} and {rule.number}"
            text = f"rules {numbers} are both for {rule.glob.text!r}; make them one"
            raise PolicyError(text, f"rules[{rule.number - 1}]")
    return Policy(parsed, members, _maintainers([] if maintainers is None else maintainers, known), elsewhere)


def _maintainers(value: object, groups: Collection[str]) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise PolicyError("maintainers must be a list of user:NAME and group:NAME", "maintainers")
    for number, principal in enumerate(value):
        kind, _, name = principal.partition(":")
        path = f"maintainers[{number}]"
        if kind not in {"user", "group"} or not name:
            raise PolicyError(f"maintainers: {principal!r} must be user:NAME or group:NAME", path)
        if kind == "group" and name not in groups:
            raise PolicyError(f"maintainers: {principal}: there is no such group", path)
    return value


def _groups(value: object) -> dict[str, frozenset[str]]:
    if not isinstance(value, Mapping):
        raise PolicyError("groups must map the name of each group to a list of users", "groups")
    groups = {}
    for name, members in value.items():
        if not isinstance(members, list) or not all(isinstance(member, str) and member for member in members):
            text = f"groups.{name} must be a list of user names; quote names that look like numbers"
            raise PolicyError(text, f"groups.{name}")
        groups[str(name)] = frozenset(members)
    return groups


def _rules(number: int, entry: object, groups: Collection[str]) -> Iterable[Rule]:
    where, path = f"rule {number}", f"rules[{number - 1}]"
    if not isinstance(entry, Mapping):
        raise PolicyError(f"{where} must map repositories and principals", path)
    globs = entry.get("repositories")
    texts = [text for text in (globs if isinstance(globs, list) else [globs]) if isinstance(text, str)]
    if not texts or (isinstance(globs, list) and len(texts) < len(globs)):
        raise PolicyError(f"{where}: repositories must be a glob or a list of globs", f"{path}.repositories")
    grants = {}
    for principal, actions in entry.items():
        if principal != "repositories":
            try:
                grants[str(principal)] = _actions(f"{where}: {principal}", str(principal), actions, groups)
            except ValueError as error:
                raise PolicyError(str(error), f"{path}.{principal}") from None
    for text in texts:
        try:
            yield Rule(Glob.parse(text), number, grants)
        except ValueError as error:
            raise PolicyError(f"{where}: {error}", f"{path}.repositories") from None


def _actions(where: str, principal: str, value: object, groups: Collection[str]) -> frozenset[str]:
    kind, _, name = principal.partition(":")
    if principal not in {ANONYMOUS, AUTHENTICATED} and not (kind in {"user", "group"} and name):
        raise ValueError(f"{where}: must be anonymous, authenticated, user:NAME or group:NAME")
    if kind == "group" and name not in groups:
        raise ValueError(f"{where}: there is no such group")
    if not isinstance(value, list) or not all(isinstance(action, str) for action in value):
        raise ValueError(f"{where} must be a list of actions")
    return frozenset(checked_actions(where, value))
