"""A line chart as SVG, for the docs: it needs no library, and its colours are seen on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 190, 44, 44
_COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#cf222e")
_GREY = "#7d8590"
_LABEL_GAP = 16
"""Pixels between the names of two lines."""


def lines(title: str, ticks: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Draw one line for each name.

    Args:
        ticks: names of the places on the horizontal axis, evenly spaced.
        series: values of 0..1 at each tick, by name.
    """
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    xs = [_LEFT + n * (right - _LEFT) / max(1, len(ticks) - 1) for n in range(len(ticks))]

    def height(value: float) -> float:
        return bottom - value * (bottom - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="13" fill="{_GREY}">',
        f"<title>{escape(title)}</title>",
        f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for step in range(6):
        y = height(step / 5)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="{_GREY}" stroke-opacity="0.3"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{step / 5:.1f}</text>')
    parts += [
        f'<text x="{x:.1f}" y="{bottom + 22}" text-anchor="middle">{escape(tick)}</text>'
        for x, tick in zip(xs, ticks, strict=True)
    ]
    above = float(_HEIGHT)
    for n, (name, values) in enumerate(sorted(series.items(), key=lambda item: item[1][-1])):
        colour = _COLOURS[n % len(_COLOURS)]
        points = [(x, height(value)) for x, value in zip(xs, values, strict=True)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        above = min(points[-1][1] + 4, above - _LABEL_GAP)
        parts.append(f'<text x="{right + 10}" y="{above:.1f}" fill="{colour}">{escape(name)}</text>')
    return "\n".join((*parts, "</svg>", ""))


def bars(title: str, values: Mapping[str, float]) -> str:
    """Draw one horizontal bar for each name, in order, with its value; values are at least 0."""
    height, step = 56 + 34 * len(values), 34
    longest = max(values.values(), default=0.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="13" fill="{_GREY}">',
        f"<title>{escape(title)}</title>",
        f'<text x="16" y="24" font-size="15">{escape(title)}</text>',
    ]
    for n, (name, value) in enumerate(values.items()):
        y, width = 44 + n * step, max(1.0, value / longest * (_WIDTH - 2 * _RIGHT))
        parts.append(f'<text x="{_RIGHT - 60}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect x="{_RIGHT - 50}" y="{y}" width="{width:.1f}" height="22" fill="{_COLOURS[n % len(_COLOURS)]}"/>'
        )
        parts.append(f'<text x="{_RIGHT - 42 + width:.1f}" y="{y + 15}">{value:.3g}</text>')
    return "\n".join((*parts, "</svg>", ""))
