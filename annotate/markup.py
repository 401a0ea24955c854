"""The annotator's page as HTML: steps with their verdicts, the data of the boxes, the check line, the keys.

Pure functions from values to strings, and all that was written by anybody goes through `render.escape`.
annotate/page.js gives them hands; annotate/page.css their looks.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from annotate.agreement import Agreement
from annotate.draft import Look, Seen
from annotate.keeper import Status
from annotate.rules import REASONS
from tinyrs.example import Question, Task
from tinyrs.render import escape

NAMES = {"ok": "OK", "wrong": "Wrong", "unsupported": "Unsupported"}

KEYS = (
    ("1 2 3", "the step is ok, wrong, unsupported"),
    ("↑ ↓", "the step before, the next one"),
    ("C, then 1 to 9", "what is wrong with the step"),
    ("R", "reword the step; Enter keeps it, Esc does not"),
    ("E", "edit the whole reasoning"),
    ("A", "edit the answer"),
    ("B", "go to the boxes; Tab goes on to the next"),
    ("← → ↑ ↓", "on a box: move it; with Shift: resize it; with Alt: ten units at once"),
    ("N", "a new box;  Delete: delete the box that has the focus"),
    ("+ − 0", "zoom in, zoom out, the whole picture"),
    ("Enter", "accept and go on"),
    ("Ctrl+Enter", "save, also while typing"),
    ("S", "skip"),
    ("X", "reject"),
    ("U", "undo: the last mark, then what was saved, then the last caption"),
    ("?", "these keys;  Esc: back to the steps"),
)

GUIDE = (
    "<b>Wrong</b>: the picture shows something else than the step says.",
    "<b>Unsupported</b>: nobody could tell it from this picture, or it does not follow from the steps before.",
    "<b>OK</b> needs no more: clumsy but true is ok.",
    "Judge the steps first and the answer last. Reword a step only as far as it becomes true.",
    "A box hugs its object: no rim of ground, nothing cut off.",
    "<b>Gold</b> puts your text aside as the hidden truth of this caption; somebody else then gets it unseen.",
)


def steps(revision: int, texts: Sequence[str], marks: Mapping[int, Mapping]) -> str:
    """The steps to be judged, each with its three verdicts, the error classes and a button to reword it."""
    if not texts:
        return (
            f'<div class="steps" data-revision="{int(revision)}"><p class="fine">'
            "This caption has no reasoning: judge its answer.</p></div>"
        )
    rows = "".join(_step(i, text, marks.get(i), len(texts)) for i, text in enumerate(texts))
    done = sum(i in marks for i in range(len(texts)))
    return (
        f'<div class="steps" data-revision="{int(revision)}"><h3 id="steps-name">Steps '
        f'<span>{done} of {len(texts)} judged</span></h3><ol aria-labelledby="steps-name">{rows}</ol></div>'
    )


def _step(number: int, text: str, mark: Mapping | None, of: int) -> str:
    verdict, reason, rewrite = (mark[k] for k in ("verdict", "reason", "rewrite")) if mark else ("", "", "")
    buttons = "".join(
        f'<button type="button" data-verdict="{name}" aria-pressed="{"true" if name == verdict else "false"}">'
        f"<kbd>{key}</kbd> {label}</button>"
        for key, (name, label) in enumerate(NAMES.items(), 1)
    )
    more = ""
    if verdict in ("wrong", "unsupported"):
        more = "".join(
            f'<button type="button" class="reason" data-reason="{escape(name)}" '
            f'aria-pressed="{"true" if name == reason else "false"}"><kbd>{key}</kbd> {escape(name)}</button>'
            for key, name in enumerate(REASONS, 1)
        )
        chosen = f'<span class="chosen">{escape(reason)}</span>' if reason else ""
        more = (
            f'<div class="why">{chosen}<button type="button" data-classes><kbd>C</kbd> Class</button>'
            f'<button type="button" data-reword><kbd>R</kbd> Reword</button></div>'
            f'<div class="classes" role="group" aria-label="What is wrong with it?" hidden>{more}</div>'
        )
    said = ", ".join(part for part in (NAMES.get(verdict, "not judged"), reason) if part)
    now = f'<p class="rewrite" dir="auto">{escape(rewrite)}</p>' if rewrite else ""
    return (
        f'<li data-step="{number}" data-state="{escape(verdict)}" tabindex="{0 if number == 0 else -1}" '
        f'aria-label="{escape(f"Step {number + 1} of {of}, {said}: {text}")}">'
        f'<p class="text" dir="auto">{escape(text)}</p>{now}'
        f'<div class="verdicts" role="group" aria-label="Verdict">{buttons}</div>{more}</li>'
    )


def layers(
    seen: Sequence[Seen], answer: str, names: Mapping[str, str], step_of: Mapping[int, int], grounding: bool
) -> str:
    """The boxes twice: as data that page.js draws on the picture, and as a table that can be read.

    `answer` is the text that they were read from, `names` says who each letter is, `step_of` maps a step of the draft to the step that is judged.
    """
    if not seen:
        hint = '<p class="fine">No box yet: press N, or choose Draw and drag.</p>' if grounding else ""
        return _data([], answer) + hint
    data, rows = [], []
    for one in seen:
        step = None if one.step is None else step_of.get(one.step, one.step)
        name = _name(one, names, step)
        data.append(
            {
                "key": f"{one.side}-{one.where}-{one.index}",
                "side": one.side.lower(),
                "where": one.where,
                "index": one.index,
                "step": step,
                "box": one.box.corners(),
                "name": name,
            }
        )
        numbers = "".join(f"<td>{corner}</td>" for corner in one.box.corners())
        shares = "".join(f"<td>{_share(value)}</td>" for value in (one.to_first, one.to_other))
        rows.append(
            f'<tr class="side-{escape(one.side.lower())}"><th scope="row">{escape(name)}</th>{numbers}{shares}</tr>'
        )
    heads = ("Box", "Left", "Top", "Right", "Bottom", "IoU to the original", "IoU to the other model")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f'{_data(data, answer)}<div class="boxes-table" tabindex="0" role="region" aria-label="Boxes, from 0 to 1000"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _data(boxes: list[dict], answer: str) -> str:
    # As text, not in attributes: what a model wrote stays what it is, wherever it is looked for.
    return (
        f'<div class="boxes-data" hidden><pre class="text">{escape(answer)}</pre>'
        f'<pre class="json">{escape(json.dumps(boxes))}</pre></div>'
    )


def _name(one: Seen, names: Mapping[str, str], step: int | None) -> str:
    if one.where == "answer":
        return "Answer" if not one.index else f"Answer, box {one.index + 1}"
    if one.where == "reasoning":
        return f"Step {step + 1}" if step is not None else "Reasoning"
    return f"{one.side} · {names.get(one.side, '')}".rstrip(" ·")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def tools() -> str:
    """Zoom, pan and draw, below the picture."""
    buttons = (
        ("draw", "Draw a box", "Draw"),
        ("new", "New box in the middle (N)", "New box"),
        ("out", "Zoom out (−)", "−"),
        ("whole", "The whole picture (0)", "1:1"),
        ("in", "Zoom in (+)", "+"),
    )
    made = "".join(
        f'<button type="button" data-tool="{tool}" title="{title}" aria-label="{title}"'
        f"{' aria-pressed=false' if tool == 'draw' else ''}>{label}</button>"
        for tool, title, label in buttons
    )
    return f'<div class="tools" role="toolbar" aria-label="Picture">{made}</div>'


def check_line(look: Look, side: str) -> str:
    """Live: well-formed or what is in the way; the scores before and after; what looks wrong all the same."""
    if look.problems:
        items = "".join(f"<li>{escape(problem)}</li>" for problem in look.problems)
        return f'<div class="verdict warn" role="status"><b>Cannot be accepted yet</b><ul>{items}</ul></div>'
    boxes = look.answer_boxes
    said = [f"Well-formed, {len(boxes) or 'no'} {'box' if len(boxes) <= 1 else 'boxes'}"]
    before, after = look.before, look.after
    if after is not None and after.value is not None:
        said.append(f"answer {before.value:g} → {after.value:g}")
    if after is not None and after.iou is not None:
        said.append(f"IoU {before.iou or 0:.2f} → {after.iou:.2f}")
    if boxes and boxes[0].to_first is not None:
        said.append(f"IoU {boxes[0].to_first:.2f} to {side}'s box")
    if boxes and boxes[0].to_other is not None:
        said.append(f"{boxes[0].to_other:.2f} to {'A' if side == 'B' else 'B'}'s")
    line = f'<p class="verdict good" role="status">{escape(", ".join(said))}</p>'
    if not look.findings:
        gone = len(look.findings_before)
        return line + (f'<p class="fine">What the checks doubted is right now ({gone} → 0).</p>' if gone else "")
    items = "".join(f"<li>{escape(f.sentence)}</li>" for f in look.findings)
    count = f"{len(look.findings_before)} → {len(look.findings)}"
    return f'{line}<div class="verdict warn"><b>Look again</b> (doubts {count})<ul>{items}</ul></div>'


def why(reasons: str, offered: str, drawn: str) -> str:
    """Why this caption was offered: its own reasons, and that it was drawn at random where it was."""
    lines = [drawn] * (offered == "random") + reasons.splitlines()
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="reasons"><h3>Why this one</h3><ul>{items}</ul></div>'


def person(name: str | None, role: str | None, leaves: bool) -> str:
    """Who is logged in, as what, and the way out where the page itself asked for a password."""
    if not name:
        return '<p class="fine">Not logged in.</p>'
    out = ' · <a href="logout">Log out</a>' if leaves else ""
    return f'<p class="fine person">{escape(name)}, {escape(role or "no role here: flags only")}{out}</p>'


def saved(status: Status | None, wiped: bool) -> str:
    """How safe the record is; `status` is None where nothing is saved beside this machine's disk, and `wiped` says that
    the disk does not outlive a restart. Why saving fails is in the server's log: it may name its folders."""
    state, at = "ok", ""
    if status and status.saved:
        when = datetime.fromtimestamp(status.saved, timezone.utc)
        today = when.date() == datetime.now(timezone.utc).date()
        at = f"{when:%H:%M} UTC" if today else f"{when:%Y-%m-%d %H:%M} UTC"
    waiting = f"{status.waiting} change{'s' * (status.waiting != 1)}" if status else ""
    if status is None:
        state = "failed" if wiped else "ok"
        said = "Not persisted: what is written here is lost at the next restart." if wiped else "Kept on this machine."
    elif status.problem:
        state = "failed"
        said = f"Not persisted{' since ' + at if at else ''}: saving fails, and whoever runs this page finds why in its log."
        said += f" {waiting} would be lost at a restart." if status.waiting else ""
    elif status.waiting:
        said = f"Saved {at}; {waiting} on the way." if at else f"Not saved yet; {waiting} on the way."
    else:
        said = f"Saved {at}." if at else "Nothing to save yet."
    return f'<p class="fine saved" data-state="{state}">{escape(said)}</p>'


def pace(numbers: Mapping) -> str:
    """How fast this person is: shown to that person alone, and always with n."""
    parts = []
    if numbers["n"]:
        parts.append(f"median {numbers['median']:.1f} s a verdict (n = {numbers['n']})")
    if numbers["captions"]:
        parts.append(f"{_minutes(numbers['caption'])} a caption (n = {numbers['captions']})")
    return f'<p class="fine pace">You: {" · ".join(parts)}</p>' if parts else ""


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def keys() -> str:
    """The keys (`?` opens them) and the guidelines, as folds that page.js and the mouse can open."""
    rows = "".join(f"<tr><th scope=row><kbd>{escape(key)}</kbd></th><td>{escape(what)}</td></tr>" for key, what in KEYS)
    rules = "".join(f"<li>{rule}</li>" for rule in GUIDE)
    return (
        '<details class="guide"><summary aria-expanded="false">Guidelines</summary>'
        f"<ul>{rules}</ul></details>"
        '<button type="button" class="copy" data-keys aria-haspopup="dialog">Keys <kbd>?</kbd></button>'
        '<dialog class="keys" aria-label="Keys"><h3>Keys</h3>'
        f'<table>{rows}</table><button type="button" class="copy" data-close>Close</button></dialog>'
    )


def changes(before: str, after: str) -> str:
    """Two texts as one, word by word: what went is <del>, what came is <ins>."""
    old, new = before.split(), after.split()
    parts = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            parts.append(escape(" ".join(old[a:b])))
            continue
        parts += [f"<del>{escape(' '.join(old[a:b]))}</del>"] * (a < b)
        parts += [f"<ins>{escape(' '.join(new[c:d]))}</ins>"] * (c < d)
    return " ".join(parts)


def review(
    changed: Sequence[tuple[str, str]],
    author: str,
    others: Mapping[str, Mapping[int, Mapping]],
    own: Mapping[int, Mapping],
    steps: int,
) -> str:
    """What a reviewer sees beside the desk. `changed` holds (what, HTML of `changes`) pairs; `others` and `own` are
    marks by step, the others' shown only when every step has an own one."""
    parts = [f'<h3>What {escape(author)} changed</h3>']
    parts += [f'<p class="change" dir="auto"><b>{escape(what)}</b> {text}</p>' for what, text in changed]
    if others and len(own) < steps:
        parts.append('<p class="fine">The annotator\'s verdicts appear here when you have judged every step.</p>')
    elif others:
        for name, rows in others.items():
            said = "".join(
                f'<li value="{step + 1}">{NAMES[mark["verdict"]]}{_differs(mark, own.get(step))}'
                f'{escape(" · " + mark["reason"]) if mark["reason"] else ""}</li>'
                for step, mark in sorted(rows.items())
            )
            parts.append(f"<p><b>{escape(name)}</b> said:</p><ol>{said}</ol>")
    return f'<div class="beside">{"".join(parts)}</div>'


def _differs(theirs: Mapping, own: Mapping | None) -> str:
    return "" if own is None or own["verdict"] == theirs["verdict"] else f' (you: {NAMES[own["verdict"]]})'


def seen_twice(captions: int, golds: int, alpha: float | None = None, steps: int = 0) -> str:
    """On how much the numbers below rest, and how far everybody agrees: alpha of `steps` steps that several judged."""
    if not captions + golds:
        return '<p class="fine">No caption was judged by two people yet, and no gold item by anybody.</p>'
    everybody = f" Krippendorff\'s alpha of all their verdicts is {_share(alpha)} (n = {steps} steps)." if steps else ""
    return (
        f'<p class="fine">{captions} caption{"s" * (captions != 1)} judged by two people or more, {golds} gold '
        f'item{"s" * (golds != 1)} with an answer. A verdict is on one step; n counts what was compared.{everybody}</p>'
    )


def agreement(groups: Mapping[str, Mapping[str, Agreement]]) -> str:
    """Agreement by group, each number with its n."""
    heads = ("", "Verdicts: kappa", "equal", "n", "Boxes: mean IoU", "n", "Texts: edit distance", "n")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = ""
    for group, numbers in groups.items():
        for name, one in numbers.items():
            cells = (_share(one.kappa), _share(one.same), one.verdicts, _share(one.iou), one.boxes)
            cells += (_share(one.distance), one.texts)
            values = "".join(f"<td>{cell}</td>" for cell in cells)
            rows += f'<tr><th scope="row"><span class="fine">{escape(group)}</span> {escape(name)}</th>{values}</tr>'
    return (
        '<div class="boxes-table" tabindex="0" role="region" aria-label="Agreement"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def wants_box(question: Question) -> bool:
    """Whether the answer to this question is a box."""
    return question.task is Task.GROUNDING
