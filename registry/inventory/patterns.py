"""What is typed to name repositories, tags and manifests: ``NAME``, ``NAME:TAG``, ``NAME@DIGEST``, with wildcards.

Wildcards in a NAME are those of the rules of ``auth: local`` (registry.foundation.globs). In a TAG ``*`` is any number
of characters, ``?`` one. A digest has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.globs import Glob
from registry.foundation.wildcards import starred
from registry.inventory.source import NotThereError
from registry.oci.digest import Digest
from registry.oci.errors import RegistryError
from registry.oci.reference import MAX_NAME_LENGTH, parse_name, parse_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.inventory.source import Source

_WILD: Final = re.compile(r"[*?]")
_TAG_PATTERN: Final = re.compile(r"[A-Za-z0-9._*?-]{1,512}")
_LONGEST_SHOWN: Final = 300


class PatternError(ValueError):
    """What was typed names nothing that could be there; the text says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What `text` names. At most one of `tag` and `digest` is there; without either, whole repositories are meant.

    If `nested`, so are those that are nested in the name of one that is meant, which need not be there itself.
    """

    text: str
    name: str | Glob
    tag: str | re.Pattern[str] | None = None
    digest: Digest | None = None
    nested: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether whole repositories are meant."""
        return self.tag is None and self.digest is None

    @property
    def is_wild(self) -> bool:
        """Whether it may name more than one thing."""
        return isinstance(self.name, Glob) or isinstance(self.tag, re.Pattern)

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read what was typed.

        Raises:
            PatternError: it names nothing that could be there.
        """
        try:
            name, at, digest = text.partition("@")
            if at:
                return cls(text, _name(name), digest=Digest.parse(digest))
            name, colon, tag = text.partition(":")
            return cls(text, _name(name), _tag(tag) if colon else None)
        except RegistryError as error:
            raise PatternError(f"{_shown(text)} is not NAME, NAME:TAG or NAME@DIGEST: {error.message}") from error
        except ValueError as error:
            raise PatternError(str(error)) from error

    def means(self, repository: str) -> bool:
        """Tell whether a repository is called so, or matches."""
        if self.name == repository if isinstance(self.name, str) else self.name.matches(repository):
            return True
        parent = repository.rpartition("/")[0]
        return self.nested and bool(parent) and self.means(parent)

    def repositories(self, source: Source) -> Iterator[str]:
        """Yield the repositories that are meant.

        Raises:
            NotThereError: there are none.
        """
        return self._of(source.exists, source.repositories)

    def keeping(self, source: Source) -> Iterator[str]:
        """Yield the names that are meant of which anything is kept that can be deleted; otherwise as repositories()."""
        return self._of(source.keeps, source.keeping)

    def _of(self, is_there: Callable[[str], bool], names: Callable[[], Iterator[str]]) -> Iterator[str]:
        if not isinstance(self.name, Glob) and not self.nested:
            if not is_there(self.name):
                raise NotThereError(f"there is no repository {self.name}")
            yield self.name
            return
        found = False
        for name in names():
            if self.means(name):
                found = True
                yield name
        if not found and isinstance(self.name, Glob):
            raise NotThereError(f"no repository matches {self.name.text}")
        if not found:
            raise NotThereError(f"there is no repository {self.name}, nor one nested in it")

    def tags(self, source: Source) -> Iterator[tuple[str, str]]:
        """Yield repository and tag of all that are meant; all tags, where only repositories are named.

        Raises:
            NotThereError: there are none, though tags are named.
        """
        found = False
        for repository in self.repositories(source):
            for tag in self._tags_in(source, repository):
                found = True
                yield repository, tag
        if not found and self.tag is not None:
            raise NotThereError(f"there is no tag {self.text}" if not self.is_wild else f"no tag matches {self.text}")

    def _tags_in(self, source: Source, repository: str) -> Iterator[str]:
        if isinstance(self.tag, str):
            # A tag whose link is damaged leads nowhere and is listed all the same.
            if source.resolve(repository, self.tag) or self.tag in source.tags(repository):
                yield self.tag
            return
        for tag in source.tags(repository):
            if self.tag is None or self.tag.fullmatch(tag):
                yield tag


def _name(text: str) -> str | Glob:
    if not _WILD.search(text):
        return parse_name(text)
    if len(text) > 2 * MAX_NAME_LENGTH:
        raise ValueError("a pattern for repositories is too long")
    return Glob.parse(text)


def _tag(text: str) -> str | re.Pattern[str]:
    if "/" in text:
        raise ValueError(f"there is a slash in the tag {_shown(text)}: --url says which registry is meant, and no name")
    if not _WILD.search(text):
        return parse_tag(text).name
    if not _TAG_PATTERN.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not a pattern for tags")
    return re.compile(starred(text, "."))


def _shown(text: str) -> str:
    return ascii(text[:_LONGEST_SHOWN])
