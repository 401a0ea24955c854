"""Pictures of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which people of every colour vision can tell apart."""
SHAPES = {"classification": "o", "VQA": "s", "grounding": "^", "knowledge": "D"}


def accuracy_against_cost(averages: Sequence[dict], path: Path) -> bool:
    """Draw macro accuracy with its 95 % interval against seconds and memory; False where no cost is known.

    `averages` as in report.json: a colour for each model, a shape for each capability.
    """
    panels = [("seconds_per_answer", "seconds an answer"), ("peak_mib", "peak memory, MiB")]
    panels = [panel for panel in panels if any(row[panel[0]] for row in averages)]
    if not panels:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    models = list(dict.fromkeys((row["model"], row["key"]) for row in averages))
    figure = Figure(figsize=(5.2 * len(panels), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (name, title) in zip(axes, panels, strict=True):
        for row in averages:
            if not row[name]:
                continue
            low, high = row["macro_interval"]
            axis.errorbar(
                row[name],
                100 * row["macro"],
                yerr=[[100 * (row["macro"] - low)], [100 * (high - row["macro"])]],
                fmt=SHAPES.get(row["capability"], "x"),
                color=COLOURS[models.index((row["model"], row["key"])) % len(COLOURS)],
                capsize=3,
            )
        costs = [row[name] for row in averages if row[name]]
        axis.set_xscale("log")
        axis.set_xlim(min(costs) / 2, max(costs) * 2)
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_xlabel(title)
        axis.set_ylim(0, 100)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("strict, %, mean over benchmarks")
    used = [shape for shape in SHAPES if any(row["capability"] == shape for row in averages)]
    marks = [(SHAPES[shape], "#666666", shape) for shape in used]
    # A dollar sign would begin a formula.
    marks += [
        ("P", COLOURS[i % len(COLOURS)], _short(f"{model} {key}".strip()).replace("$", r"\$"))
        for i, (model, key) in enumerate(models)
    ]
    handles = [axes[0].plot([], [], mark, color=colour, label=label)[0] for mark, colour, label in marks]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    figure.savefig(path, dpi=110)
    return True


def _short(text: str) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 40 else text[:19] + "..." + text[-18:]
