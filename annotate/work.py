"""One person's work on one caption: what is judged, what an order from the page does. No Gradio in here.

An order is what page.js sends for a key or a drag: {"do": ..., "revision": the one that was shown, ...}. It comes
from outside, so nothing in it is believed before it was looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from annotate import marks, queue, rules
from annotate.draft import Look, look
from annotate.steps import put_box, replace_step
from annotate.store import Store
from tinyrs.example import BOX_SCALE
from tinyrs.parse import split_steps

MARKING = ("mark", "class", "rewrite")
DRAWING = ("box", "look")


def prepare(store: Store, caption: dict, person: str, review: bool = False) -> dict:
    """`caption` with what the page needs beside it.

    judged   the revision whose steps are judged: the newest that somebody else wrote; in a review the one
             that the annotator judged, so that two people's verdicts can be compared
    first    the caption as it came in;  other: the other model's boxes;  size: of the picture, pixels
    names    who the letters A, B and C are;  side: the letter of the model that wrote `first`
    """
    history = store.history(caption["id"])
    theirs = [row for row in history if not rules.same_person(row["author"], person)]
    judged = (theirs or history)[-1]
    if review:
        judged = next((row for row in reversed(history[:-1]) if marks.of_revision(store, row["id"])), history[0])
    side, names, other = caption["side"] or "A", {"C": "your text"}, ()
    names[side] = history[0]["author"].partition(":")[2] or history[0]["author"]
    if caption["run"]:
        for letter, answered in store.run(caption["run"])["sides"].items():
            names[letter] = rules.machine(answered.model).partition(":")[2]
            if letter != side and answered.answer.boxes:
                other = answered.answer.boxes
    picture = store.picture(caption["picture"])
    return {
        **caption,
        "judged": judged,
        "first": history[0],
        "side": side,
        "names": names,
        "other": other,
        "size": (picture["width"], picture["height"]),
    }


def judge(caption: dict, reasoning: str, answer: str) -> Look:
    """The draft in the light of the caption it came from (see `prepare`)."""
    first = caption["first"]
    return look(
        caption["question"],
        (first["reasoning"], first["answer"]),
        (reasoning, answer),
        side=caption["side"],
        other=caption["other"],
        given=caption["given"],
        size=caption["size"],
    )


def step_of(caption: dict, reasoning: str, said: Mapping[int, Mapping]) -> dict[int, int]:
    """Which judged step each step of the draft is, by its words or those of its rewrite; others are left out."""
    judged = {text: i for i, text in reversed(list(enumerate(split_steps(caption["judged"]["reasoning"]))))}
    judged |= {mark["rewrite"]: step for step, mark in said.items() if mark["rewrite"]}
    return {i: judged[text] for i, text in enumerate(split_steps(reasoning)) if text in judged}


def order_of(data: object, caption: dict | None) -> dict | None:
    """The order in an event's data; None when it was meant for a caption that is not shown any more."""
    order = data.get("order") if isinstance(data, Mapping) else None
    if not isinstance(order, Mapping) or not isinstance(order.get("do"), str):
        raise rules.Refused("The page sent something that is no order.")
    if order["do"] == "undo" and caption is None:
        return dict(order)
    if caption is None or order.get("revision") != caption["judged"]["id"]:
        return None
    return dict(order)


def mark(store: Store, caption: dict, order: Mapping, person: str, reasoning: str) -> str:
    """Store a verdict, a class or a rewrite of one step; the draft's reasoning after it."""
    revision, step = caption["judged"]["id"], order.get("step")
    steps = split_steps(caption["judged"]["reasoning"])
    before = marks.current(store, revision, person).get(step) if isinstance(step, int) else None
    now = {key: before[key] if before else "" for key in ("verdict", "reason", "rewrite")}
    if order["do"] == "mark":
        verdict = str(order.get("verdict"))
        now = {**now, "verdict": verdict} if verdict != "ok" else {"verdict": "ok", "reason": "", "rewrite": ""}
    elif order["do"] == "class":
        now["reason"] = str(order.get("reason", ""))
    else:
        now["rewrite"] = " ".join(str(order.get("text", "")).split())
        if isinstance(step, int) and 0 <= step < len(steps) and now["rewrite"] == steps[step]:
            now["rewrite"] = ""
    if now["verdict"] not in ("wrong", "unsupported") and order["do"] != "mark":
        now["verdict"] = "wrong"
    verdict = now.pop("verdict")
    marks.add(store, revision, step, verdict, author=person, **now)
    return _reworded(reasoning, steps[step], before, {"rewrite": now["rewrite"]})


def _reworded(reasoning: str, step: str, before: Mapping | None, after: Mapping | None) -> str:
    """The draft with the wording of one step changed as its mark was; unchanged where a person rewrote it."""
    old = (before or {}).get("rewrite") or step
    new = (after or {}).get("rewrite") or step
    changed = None
    # A rewrite may be several sentences, which are several steps then.
    if old == new:
        return reasoning
    if len(split_steps(old)) == 1:
        changed = replace_step(reasoning, old, new)
    elif reasoning.count(old) == 1:
        changed = reasoning.replace(old, new)
    return reasoning if changed is None else changed


def undo(store: Store, caption: dict | None, person: str, reasoning: str) -> tuple[dict | None, str | None]:
    """Take back the last thing this person did: a mark, then a saved text, then the last caption.

    Returns (the caption that is open after it, the draft's reasoning): None for a caption that is the one that was
    open, None for a reasoning that is the caption's own. Raises Refused when there is nothing to take back.
    """
    if caption is not None:
        last = marks.withdraw(store, caption["judged"]["id"], author=person)
        if last:
            now = marks.current(store, caption["judged"]["id"], person).get(last["step"])
            step = split_steps(caption["judged"]["reasoning"])[last["step"]]
            return None, _reworded(reasoning, step, last, now)
        head = store.caption(caption["id"])["revision"]
        if rules.same_person(head["author"], person) and head["parent"] is not None and head["restores"] is None:
            return queue.undo(store, head["id"], person), None
    found = queue.reopen(store, person)
    if found is None:
        raise rules.Refused("There is nothing of yours to undo.")
    if caption is not None:
        queue.release(store, caption["id"], person, done=False)
    return found, None


def place(order: Mapping, reasoning: str, answer: str) -> tuple[str, str]:
    """(reasoning, answer) with the box of a drawing order put where it says, added, or deleted. Raises Refused."""
    box, where, index = order.get("box"), order.get("where"), order.get("index")
    if where not in ("answer", "reasoning") or not (index is None or type(index) is int):
        raise rules.Refused("The page sent something that is no box.")
    if box is not None:
        if not isinstance(box, list) or len(box) != 4:
            raise rules.Refused("The page sent something that is no box.")
        if not all(type(side) in (int, float) and math.isfinite(side) for side in box):
            raise rules.Refused("The page sent something that is no box.")
        left, right = sorted(min(max(box[i], 0), BOX_SCALE) for i in (0, 2))
        top, bottom = sorted(min(max(box[i], 0), BOX_SCALE) for i in (1, 3))
        box = (left, top, right, bottom)
    if where == "answer":
        return reasoning, put_box(answer, index, box)
    return put_box(reasoning, index, box), answer
