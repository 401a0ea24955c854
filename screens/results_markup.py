"""Results as HTML: tables with a bar for each interval, and accuracy against what an answer costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinyrs.render import escape
from tinyrs.results import Average, Results, Row

LEGEND = (
    "The band is the 95 % interval, the tick what the best answer reaches that never looks at the picture."
)
UNKNOWN = '<span class="none" aria-label="not known">–</span>'
NOTHING = (
    '<div class="results-empty"><p><b>No results yet.</b></p><p>Measure a model with '
    "<code>python -m training.evaluate --model NAME --data FILE.json --kind cls --out results/aid</code>, put the "
    "results side by side with <code>python -m training.evaluate report results</code>, and start the page with "
    "<code>TINYRS_RESULTS=results</code>.</p></div>"
)
_HEADS = (
    ("Model", ""),
    ("n", "How many questions"),
    ("Right, %", "Strict: every question counts. With its 95 % interval"),
    ("Majority", "The best answer that never looks at the picture"),
    ("Chance", "A guess among the answers"),
    ("Released scorer", "As the paper's own evaluation would score it"),
    ("Paper", "The published figure of the system that works alike"),
    ("Difference", "Ours minus the paper's, in points, and whether the paper's lies in our interval"),
)


def page(measured: Sequence[Row], results: Results) -> str:
    """The whole tab: what lies in the folder first, then what the models here say of themselves."""
    parts = []
    if results.rows:
        cited = f" Paper: {escape(results.source)}." if results.source else ""
        parts.append(
            f'<section><h2>Evaluations</h2><p class="facts">Every question counts; right is right by the score that '
            f"also rewards training. {LEGEND}{cited}</p>{table(results.rows, 'Evaluations')}</section>"
        )
    if results.averages:
        parts.append(
            "<section><h2>By what is asked</h2>"
            f"{averages(results.averages)}{figure(results.averages)}</section>"
        )
    if measured:
        parts.append(
            '<section><h2>The models that answer here</h2><p class="facts">What each checkpoint says it reached when it '
            "was measured, mostly on a few hundred questions about pictures kept out of its training. These are not "
            f"the paper's test files, so its figures do not belong beside them. {LEGEND}</p>{table(measured, 'The models here')}"
            "</section>"
        )
    if results.problems:
        said = "".join(f"<li>{escape(problem)}</li>" for problem in results.problems)
        parts.append(f'<section><h2>Not read</h2><ul class="facts">{said}</ul></section>')
    return f'<div class="results">{"".join(parts) if results.rows or measured else NOTHING + "".join(parts)}</div>'


def table(rows: Sequence[Row], name: str) -> str:
    """One table with a group of rows for each benchmark; columns that nobody knows anything for are left out."""
    shown = [True, True, True] + [
        any(getattr(row, field) is not None for row in rows)
        for field in ("majority", "chance", "reference", "paper", "points")
    ]
    heads = "".join(
        f'<th scope="col"{f" title={chr(34)}{escape(why)}{chr(34)}" if why else ""}>{escape(head)}</th>'
        for (head, why), there in zip(_HEADS, shown, strict=True)
        if there
    )
    body = ""
    for benchmark in dict.fromkeys(row.benchmark for row in rows):
        own = [row for row in rows if row.benchmark == benchmark]
        body += f'<tbody><tr><th colspan="{sum(shown)}" scope="rowgroup">{escape(benchmark)}</th></tr>'
        for row in own:
            cells = zip(_cells(row), shown, strict=True)
            body += "<tr>" + "".join(cell for cell, there in cells if there) + "</tr>"
        body += "</tbody>"
    return _scrolls(f"<table><thead><tr>{heads}</tr></thead>{body}</table>", name)


def _cells(row: Row) -> list[str]:
    overlap = f"<small>mean IoU {row.mean_iou:.3f}</small>" if row.mean_iou is not None else ""
    paper = f"{row.paper:.1f}<small>{escape(row.system)}</small>" if row.paper is not None else UNKNOWN
    return [
        f'<th scope="row">{escape(row.model)}</th>',
        f"<td>{row.n:,}</td>",
        f'<td class="wide">{_percent(row.strict)}{_within(row.interval)}{bar(row)}{overlap}</td>',
        f"<td>{_percent(row.majority)}</td>",
        f"<td>{_percent(row.chance)}</td>",
        f"<td>{_percent(row.reference)}</td>",
        f"<td>{paper}</td>",
        f"<td>{_difference(row.points, row.inside)}</td>",
    ]


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.1f}"


def _within(interval: tuple[float, float] | None) -> str:
    return f" <small>{100 * interval[0]:.1f} to {100 * interval[1]:.1f}</small>" if interval else ""


def _difference(points: float | None, inside: bool) -> str:
    if points is None:
        return UNKNOWN
    place, kind = ("inside", "good") if inside else ("outside", "off")
    return f'<span class="{kind}">{points:+.1f}'.replace("-", "−") + f" <small>{place}</small></span>"


def bar(row: Row) -> str:
    """From 0 to 100 %: the interval, the share in it, and a tick where the majority answer stands."""
    if row.strict is None:
        return ""
    low, high = row.interval or (row.strict, row.strict)
    tick = ""
    if row.majority is not None:
        tick = (
            f'<line class="base" x1="{100 * row.majority:.1f}" x2="{100 * row.majority:.1f}" y1="0" y2="10"/>'
        )
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="all" x="0" y="4" width="100" height="2"/>'
        f'<rect class="range" x="{100 * low:.1f}" y="2.5" width="{max(100 * (high - low), 0.6):.1f}" height="5"/>'
        f'{tick}<rect class="at" x="{min(100 * row.strict, 99):.1f}" y="0.5" width="1" height="9"/></svg>'
    )


def averages(rows: Sequence[Average]) -> str:
    """The table of macro averages and costs."""
    heads = ("Model", "Asked", "Benchmarks", "Mean, %", "Paper", "Seconds an answer", "Peak memory, MiB")
    head = "".join(f'<th scope="col"{" class=text" * (each == "Asked")}>{each}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row.model)}</th><td class="text">{escape(row.capability)}</td>'
        f"<td>{row.benchmarks}</td><td>{_percent(row.macro)}{_within(row.interval)}</td>"
        f"<td>{UNKNOWN if row.paper is None else f'{row.paper:.1f}'}</td>"
        f"<td>{UNKNOWN if row.seconds is None else f'{row.seconds:.2f}'}</td>"
        f"<td>{UNKNOWN if row.peak is None else f'{row.peak:,.0f}'}</td></tr>"
        for row in rows
    )
    return _scrolls(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "Averages")


def figure(rows: Sequence[Average]) -> str:
    """Mean accuracy with its interval against seconds an answer, on a logarithmic axis; "" where no cost is known."""
    rows = [row for row in rows if row.seconds]
    if not rows:
        return ""
    models = list(dict.fromkeys(row.model for row in rows))
    low = math.log10(min(row.seconds for row in rows) / 1.6)
    high = math.log10(max(row.seconds for row in rows) * 1.6)

    def across(seconds: float) -> float:
        return 50 + 530 * (math.log10(seconds) - low) / (high - low)

    def up(share: float) -> float:
        return 250 - 230 * share

    parts = [
        f'<line class="grid" x1="50" x2="580" y1="{up(share)}" y2="{up(share)}"/>'
        f'<text x="42" y="{up(share) + 5}" text-anchor="end">{100 * share:.0f}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    for power in range(math.floor(low), math.ceil(high) + 1):
        for digit in (1, 2, 5):
            seconds = digit * 10.0**power
            if low <= math.log10(seconds) <= high:
                x = across(seconds)
                parts.append(
                    f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="250"/>'
                    f'<text x="{x:.1f}" y="270" text-anchor="middle">{seconds:g}</text>'
                )
    for row in rows:
        x, letter = across(row.seconds), "abc"[models.index(row.model) % 3]
        if row.interval:
            parts.append(
                f'<line class="whisker side-{letter}" x1="{x:.1f}" x2="{x:.1f}" y1="{up(row.interval[0]):.1f}" '
                f'y2="{up(row.interval[1]):.1f}"/>'
            )
        at = f"{row.model}, {row.capability}: {100 * row.macro:.1f} % at {row.seconds:.2f} s"
        parts.append(
            f'<circle class="point side-{letter}" cx="{x:.1f}" cy="{up(row.macro):.1f}" r="6"><title>{escape(at)}'
            f'</title></circle><text class="name" x="{x + 10:.1f}" y="{up(row.macro) + 5:.1f}">{escape(row.capability)}'
            "</text>"
        )
    legend = "".join(
        f'<li><i class="side-{"abc"[at % 3]}"></i>{escape(model)}</li>' for at, model in enumerate(models)
    )
    drawn = (
        '<svg class="costs-figure" viewBox="0 0 680 300" role="img" aria-label="Mean accuracy in per cent against seconds '
        f'an answer; the table above holds the same numbers">{"".join(parts)}'
        '<text x="315" y="292" text-anchor="middle">seconds an answer</text></svg>'
    )
    return f"<figure>{_scrolls(drawn, 'Accuracy against cost')}<figcaption><ul>{legend}</ul></figcaption></figure>"


def _scrolls(inner: str, name: str) -> str:
    """A part that may be wider than a phone: it scrolls by itself, also by keyboard."""
    return f'<div class="scrolls" role="region" tabindex="0" aria-label="{escape(name)}">{inner}</div>'
