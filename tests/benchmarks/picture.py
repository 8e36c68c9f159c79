"""The comparison as a picture: for each row, a bar for each server's CPU per request."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tests.benchmarks.report import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.report import Key, Report

_COLOURS = ("#1f6feb", "#8b949e", "#c9d1d9", "#e3b341")
_WIDTH, _LEFT, _LONGEST = 820, 220, 480
_BAR, _GAP, _TOP = 12, 10, 40


def draw(report: Report) -> str:
    """Return an SVG document. Each row has a scale of its own, because rows differ by a factor of a million."""
    servers = list(dict.fromkeys(name for each in report.results.values() for name in each))
    colours = dict(zip(servers, _COLOURS, strict=False))
    body, top = list(_legend(colours)), _TOP
    for key, measured in report.results.items():
        costs = {name: median(each.cpu_per_request for each in rounds.values()) for name, rounds in measured.items()}
        body += _row(key, costs, colours, top)
        top += len(costs) * _BAR + _GAP
    size = f'width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    style = "<style>text { font: 11px sans-serif; fill: #24292f }</style>"
    background = f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', style, background, *body, "</svg>", ""])


def _legend(colours: dict[str, str]) -> Iterator[str]:
    yield '<text x="10" y="20">CPU per request (shorter is better)</text>'
    for index, (name, colour) in enumerate(colours.items()):
        left = _LEFT + 60 + 90 * index
        yield f'<rect x="{left}" y="11" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{left + 15}" y="20">{escape(name)}</text>'


def _row(key: Key, costs: dict[str, float], colours: dict[str, str], top: int) -> Iterator[str]:
    most = max(costs.values()) or 1.0
    middle = top + len(costs) * _BAR / 2 + 4
    yield f'<text x="{_LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(f"{key.row} ({key.place})")}</text>'
    for index, (name, cost) in enumerate(costs.items()):
        width, y = max(1.0, cost / most * _LONGEST), top + index * _BAR
        yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{colours.get(name, "#000")}"/>'
        yield f'<text x="{_LEFT + width + 5:.1f}" y="{y + _BAR - 3}">{duration(cost)}</text>'
