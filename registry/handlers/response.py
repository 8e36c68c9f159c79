"""The response class of all views: says nothing that a view has not said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Response(flask.Response):
    """A response without a Content-Type of its own, since most of a registry's have no content."""

    default_mimetype = None

    errors: Sequence[Mapping[str, object]] = ()
    """What an error answer says, for the log."""
