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

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

LONGEST: Final = 128 * 1024
"""Characters of a text that becomes HTML; of a longer one it is the beginning."""

_MOST_COST: Final = 150_000
_COSTS: Final = (
    (re.compile(r"\n"), 25),
    (re.compile(r"(?:[-+*]|[0-9][.)])(?=\s)|>"), 30),
    (re.compile(r"[*_~]"), 10),
    (re.compile(r"\["), 40),
    (re.compile(r"<|://|www\.|@"), 50),
    (re.compile(r"&"), 10),
    (re.compile(r"[\]`\\!#]"), 6),
    (re.compile(r"[-+=:$%^{}]"), 3),
    (re.compile(r"[^ -~\n]"), 1),
)
_CELL_COST: Final = 20
_BLOCK: Final = re.compile(r"\n[ \t]*\n")
"""What a text may cost in microseconds, and what each mark costs, which was measured with long hostile texts.

They were, alone, mixed at random and repeated, in one line and in many: letters, spaces, each mark of ASCII, ``a**``,
``*_``, ``**_a_**``, ``~~``, brackets that are left open, links, images and definitions of links, back quotes of any
number, tables, headings, rules, quotes and lists in one another, autolinks, tags, comments and entities of HTML,
escapes, tabs, characters that are escaped here.
"""

_MARK: Final = re.compile(r"[^A-Za-z0-9 ]")
_MOST_LOOKS: Final = 300_000
"""Marks that are looked at for the ends of brackets: for each that is left open, all the rest of its paragraph."""


def html(text: str) -> Markup:
    """Return Markdown as HTML that is safe in a page; what would take long is its plain text.

    What turns the direction of text or controls a terminal is escaped, however it is spelled.
    """
    text = _SURROGATE.sub("\ufffd", text[:LONGEST])
    if _cost(text) > _MOST_COST:
        return _seen(str(Markup("<pre>{}</pre>").format(text)))
    cleaned = nh3.clean(
        _PARSER.render(text),
        tags=_TAGS,
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
        attribute_filter=_attribute,
        link_rel="nofollow noopener noreferrer external",
        url_schemes={"https", "http", "mailto"},
    )
    return _seen(cleaned)


def _cost(text: str) -> int:
    """Return about how many microseconds a text takes at most."""
    marks = sum(cost * sum(1 for _ in mark.finditer(text)) for mark, cost in _COSTS)
    return marks + _CELL_COST * sum(_cells(block) for block in _BLOCK.split(text))


def _cells(block: str) -> int:
    """Return how many cells a table can have that these lines are: in each line as many as the longest row has."""
    lines = block.split("\n")
    return len(lines) * max(line.count("|") for line in lines)


def _seen(safe: str) -> Markup:
    """Return HTML with escapes for what would hide or turn the text in it: entities are characters in it by now."""
    return Markup(_HIDDEN.sub(lambda found: printable(found[0]), safe))  # noqa: S704  it has come from the sanitizer


def _attribute(_tag: str, name: str, value: str) -> str | None:
    """Return what an attribute may be: a link that leads to a place on our own host would be somebody's trap.

    What is in `rel` the sanitizer has put there.
    """
    if name == "href":
        return value if value.lower().startswith(_SCHEMES) else None
    return value if name == "rel" or value.isdecimal() else None


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


def _limit_brackets(state: Any) -> None:
    """Make brackets text in the paragraphs that are left when there have been too many."""
    left = _MOST_LOOKS
    for token in state.tokens:
        if token.type == "inline" and "[" in token.content:
            left -= token.content.count("[") * len(_MARK.findall(token.content))
            if left < 0:
                token.content = token.content.replace("[", "&#91;")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("js-default")
    parser.core.ruler.before("inline", "limit_brackets", _limit_brackets)
    parser.core.ruler.push("lower_headings", _lower_headings)
    parser.add_render_rule("image", _shown_image)
    return parser


_PARSER: Final = _parser()
