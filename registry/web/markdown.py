"""A README as HTML: Markdown of strangers, in which nothing runs or is loaded, and links lead only to other hosts.

HTML in it is shown as text, an image is its description. What is left goes through a sanitizer that knows a few tags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markupsafe import Markup

from registry.foundation.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_TAGS: Final = {
    *("h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "a"),
    *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"),
}
_SCHEMES: Final = ("https://", "http://", "mailto:")
_BELOW: Final = 2
"""By how many levels headings go down: the first two are those of the page."""

_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MOST_BRACKETS: Final = 2000
_MOST_LINES: Final = 5000
"""The parser takes time that grows with the square of brackets that are left open, and of cells in a table."""


def html(text: str) -> Markup:
    """Return Markdown as HTML that is safe in a page; what would take long is its plain text.

    What turns the direction of text or controls a terminal is escaped.
    """
    text = _HIDDEN.sub(lambda found: printable(found[0]), text)
    if text.count("[") > _MOST_BRACKETS or text.count("\n") > _MOST_LINES:
        return Markup("<pre>{}</pre>").format(text)
    cleaned = nh3.clean(
        _PARSER.render(text),
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=_attribute,
        link_rel="nofollow noopener noreferrer external",
        url_schemes={"https", "http", "mailto"},
    )
    return Markup(cleaned)  # noqa: S704  that is what the sanitizer is for


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Return what an attribute may be: a link that leads to a place on our own host would be somebody's trap."""
    if name == "href":
        return value if value.lower().startswith(_SCHEMES) else None
    return value if value.isdecimal() or tag == "a" else None


def _shown_image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Return the description of an image."""
    inner = tokens[index].children or []
    return escapeHtml(renderer.renderInlineAsText(inner, options, env)) or "(image)"


def _lower_headings(state: Any) -> None:
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + _BELOW, 6)}"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("js-default")
    parser.core.ruler.push("lower_headings", _lower_headings)
    parser.add_render_rule("image", _shown_image)
    return parser


_PARSER: Final = _parser()
