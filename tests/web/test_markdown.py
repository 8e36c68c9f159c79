"""READMEs as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.web.markdown import LONGEST, html

_TAGS = {
    *("h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "a"),
    *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"),
}


class _Seen(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_markdown_is_rendered_below_the_headings_of_the_page() -> None:
    shown = html("# App\n\n*Fast* `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n###### deep\n")

    assert "<h3>App</h3>" in shown
    assert "<em>Fast</em> <code>code</code>" in shown
    assert "<td>1</td>" in shown
    assert "<h6>deep</h6>" in shown


def test_a_link_to_another_host_says_that_nothing_is_told_to_it() -> None:
    assert html("[docs](https://docs.example/a?b=1)") == (
        '<p><a href="https://docs.example/a?b=1" rel="nofollow noopener noreferrer external">docs</a></p>\n'
    )


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#115;cript:alert(1)",
        "vbscript:x",
        "data:text/html,<script>alert(1)</script>",
        "/ui/_logout",
        "//elsewhere.example",
        "\\\\elsewhere.example",
        "?x",
        "#main",
        "_delete",
    ],
)
def test_a_link_that_does_not_lead_to_another_host_is_text(target: str) -> None:
    assert "href" not in dict(_Seen(html(f"[press]({target})")).attributes)


@pytest.mark.parametrize(
    "written",
    [
        "<script>alert(1)</script>",
        '<img src="https://elsewhere.example/x" onerror="alert(1)">',
        "<a href=x onclick=alert(1)>",
        "<style>*{display:none}</style>",
        '<svg><a xlink:href="javascript:alert(1)">',
        "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
        "<!--><script>alert(1)</script>-->",
        '<form action="https://elsewhere.example"><input>',
    ],
)
def test_html_is_shown_as_it_is_written(written: str) -> None:
    shown = html(f"Before {written} after")

    assert set(_Seen(shown).tags) <= {"p"}
    assert written in "".join(re.findall(r">([^<]*)<", shown)).replace("&lt;", "<").replace("&gt;", ">").replace(
        "&amp;", "&"
    ).replace("&quot;", '"')


def test_an_image_is_its_description_and_loads_nothing() -> None:
    assert html("![Build *is* green](https://elsewhere.example/badge.svg)") == "<p>Build is green</p>\n"
    assert html("[![](https://elsewhere.example/x)](https://a.example)").count("(image)") == 1


def test_the_name_of_a_language_is_no_class() -> None:
    assert html("```python onload=x\n1 < 2\n```") == "<pre><code>1 &lt; 2\n</code></pre>\n"


_COSTLY = (
    *("a**", "*_", "**_a_**", "_a ", "~~a", "[a", "![", "[a](b) ", "[a]: b\n", "<", "<a@b.c>", "https://a.example "),
    *("- a\n", "- > ", "1. a\n", "# a\n", "a\n", "a\n\n", "|a|b\n|-|-\n", "&amp;", "`a`", "\\*", "!a", "="),
)


@pytest.mark.parametrize("unit", _COSTLY)
def test_what_would_take_long_is_its_plain_text(unit: str) -> None:
    text = "<b>" + unit * (LONGEST // len(unit))

    assert html(text).startswith("<pre>&lt;b&gt;")


@pytest.mark.parametrize("row", ["|" * 10_000 + "\n" + "|-" * 10_000 + "\n" + "x\n" * 1000])
def test_a_table_counts_as_many_cells_as_it_is_filled_up_with(row: str) -> None:
    assert html(row).startswith("<pre>")


def test_no_more_than_the_beginning_of_a_text_is_shown() -> None:
    assert len(html("a" * (2 * LONGEST))) == LONGEST + len("<p></p>\n")


def test_brackets_are_text_in_a_paragraph_with_very_many() -> None:
    shown = html("[a](https://a.example)\n\n" + "[a](https://a.example) " * 1000)

    assert shown.count("<a ") == 1
    assert shown.count("[a](https://a.example)") == 1000


def test_a_long_readme_is_rendered() -> None:
    links = "".join(
        f"- [Project {number}](https://a.example/{number}): does *something* well.\n" for number in range(400)
    )
    rows = "".join(f"| `image.setting{number}` | What it sets | `default` |\n" for number in range(300))

    shown = html(f"# Links\n\n{links}\n# Settings\n\n| Name | Description | Value |\n|---|---|---|\n{rows}")

    assert shown.count("<a ") == 400
    assert shown.count("<tr>") == 301


@pytest.mark.parametrize(
    "written", ["\u202e", "&#x202e;", "&#8238;", "&rlm;", "`\u202e`", "[\u202e](https://a.example)", "![&#x202e;](x)"]
)
def test_what_turns_the_direction_of_text_is_seen_however_it_is_spelled(written: str) -> None:
    shown = html(f"a {written} [b](https://b.example '{written}')")

    assert not {"\u202e", "\u200f"} & set(shown)
    assert "\\u20" in shown
    assert "title" not in dict(_Seen(shown).attributes)


def test_what_turns_the_direction_of_text_is_seen() -> None:
    assert html("a\u202egpj.exe \x1b[2J \u05d0") == "<p>a\\u202egpj.exe \\x1b[2J \u05d0</p>\n"


def test_a_deep_text_is_rendered() -> None:
    assert "<blockquote>" in html(">" * 4000 + "a")


@given(st.text(alphabet="[]()!<>*_`~#|-\n\\ a:/\"'=&;"))
def test_whatever_is_written_only_known_tags_come_out(text: str) -> None:
    seen = _Seen(html(text))

    assert set(seen.tags) <= _TAGS
    assert {name for name, _ in seen.attributes} <= {"href", "rel", "start"}
