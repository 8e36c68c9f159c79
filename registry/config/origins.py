"""Where a value of the configuration was written: a line of the file, or a variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping  # noqa: TC003  the fields of a dataclass are evaluated
from contextlib import contextmanager
from dataclasses import dataclass, field

from registry.config.errors import CombinedError, ConfigurationError

_VARIABLES = ("REGISTRY_", "OTEL_")


@dataclass(frozen=True, slots=True)
class Origins:
    """The `lines` of the configuration `file` that its keys are in, by their paths, and what came from elsewhere.

    `sources` says for the path of a key which variable, or which key of an older format, gave what is there.
    """

    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Return ``FILE:LINE`` of `key`, or of the section around it; the file alone if neither is in it."""
        if key.startswith(_VARIABLES):
            return ""
        source = self._source(key)
        path = source or key
        if source and source not in self.lines:
            return ""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return f"{self.file}:{self.lines[path]}" if path else self.file

    def located(self, error: ConfigurationError) -> ConfigurationError:
        """Return `error` with the place of its key, or with the name of the variable that set it, if one did."""
        if isinstance(error, CombinedError):
            return CombinedError([self.located(each) for each in error.errors])
        if error.where.startswith(_VARIABLES):
            return ConfigurationError(error.where, error.reason)
        if error.place or not self.file:
            return error
        source = self._source(error.where)
        said = f" (set by {source})" if source else ""
        # An error passes through each block around it, and has no place where a variable gave the key.
        reason = error.reason.removesuffix(said) + said
        return type(error)(error.where, reason, self.place(error.key))

    def located_warning(self, warning: str) -> str:
        """Return `warning` with the place of the key before it, if it begins with a key that is in the file."""
        place = self.place(warning.partition(": ")[0]) if self.file else ""
        return f"{place}: {warning}" if place not in {"", self.file} else warning

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Give the errors of the configuration that leave the block their places.

        Raises:
            ConfigurationError: the block did.
        """
        try:
            yield
        except ConfigurationError as error:
            raise self.located(error) from error.__cause__

    def _source(self, key: str) -> str:
        around = [path for path in self.sources if f"{key}.".startswith((f"{path}.", f"{path}["))]
        return self.sources[max(around, key=len)] if around else ""
