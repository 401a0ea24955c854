"""Fifty captions are corrected by keyboard alone: after every key the store holds just what that key means, and no more."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from annotate.rules import REASONS
from tests.desk import OFF, captions, opened, state
from tests.pages import page, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STEPS = ("Water covers the left half.", "A red hull lies on it.")
BETTER = "A white hull lies on it."
NEW_ROWS = {
    "marks": "verdict, step, reason, rewrite",
    "revisions": "caption, reasoning, answer",
    "reviews": "verdict",
    "withdrawals": "author",
    "leases": "kind, caption",
}


class Hand:
    """Presses keys at the open caption; `wrote` says which rows the store has got by them."""

    def __init__(self, visitor, store):
        self.visitor, self.store, self.keys = visitor, store, 0
        self.last = dict.fromkeys(NEW_ROWS, 0)
        self.skipped: set[int] = set()
        self.wanted: dict[int, tuple[str, str, str]] = {}
        self.rows()
        self.arrive()

    def rows(self) -> dict[str, list[tuple]]:
        """The rows that came since the last call, of every table that a key may write to."""
        found = {}
        with self.store.read() as db:
            for table, columns in NEW_ROWS.items():
                sql = f"SELECT id, {columns} FROM {table} WHERE id > ? ORDER BY id"
                new = db.conn.execute(sql, [self.last[table]]).fetchall()
                if new:
                    self.last[table], found[table] = new[-1][0], [row[1:] for row in new]
        return found

    def wrote(self, **rows) -> None:
        """That, and nothing else, was written since the last call."""
        assert self.rows() == rows

    def press(self, *keys: str) -> None:
        for key in keys:
            self.visitor.page.keyboard.press(key)
        self.keys += len(keys)

    def write(self, text: str) -> None:
        self.visitor.page.keyboard.type(text)
        self.keys += len(text)

    def step(self, number: int):
        return state(self.visitor, number)

    def answer(self, text: str) -> None:
        """The draft's answer is `text`, and nothing was written."""
        expect(self.visitor["#edit-answer textarea"]).to_have_value(text)
        self.wrote()

    @property
    def shown(self) -> int:
        return int(self.visitor["#steps .steps"].get_attribute("data-revision"))

    def arrive(self) -> None:
        """A caption is open, with its first step under the keys."""
        expect(self.step(0)).to_be_focused()
        self.caption = self.store.revision(self.shown)["caption"]
        self.reasoning = self.store.revision(self.shown)["reasoning"]

    def mark(self, number: int, key: str, verdict: str, **more: str) -> None:
        """A verdict on the step that has the focus, and one row of it."""
        self.press(key)
        expect(self.step(number)).to_have_attribute("data-state", verdict)
        self.wrote(marks=[(verdict, number, more.get("reason", ""), more.get("rewrite", ""))])

    def leave(self, key: str, said: str) -> int:
        """Press a key that ends this caption; which caption came after it (0: none)."""
        before = self.shown
        self.press(key)
        if self.left_over() == 1 and key != "s":
            expect(self.visitor["#caption"]).to_be_hidden()
            return 0
        notice = self.visitor["#annotate-notice"]
        expect(notice).to_contain_text(said) if said else None
        expect(self.visitor["#steps .steps"]).not_to_have_attribute("data-revision", str(before))
        self.arrive()
        return self.caption

    def left_over(self) -> int:
        """How many captions are not decided, by what this hand has done."""
        return FIFTY - len(self.wanted)

    def accept(self, reasoning: str | None = None, answer: str = OFF, saved: bool = False) -> None:
        """Enter: the text is kept where it is a new one, accepted, and the next caption is taken."""
        caption, was = self.caption, (self.reasoning, OFF)
        now = (reasoning or self.reasoning, answer)
        following = self.leave("Enter", "Accepted")
        self.wanted[caption] = ("accepted", *now)
        new = {"revisions": [(caption, *now)]} if now != was and not saved else {}
        leases = [("release", caption)] + [("take", following)] * bool(following)
        self.wrote(**new, reviews=[("accept",)], leases=leases)


FIFTY = 50


def found_right(hand: Hand) -> None:
    """Every step is ok: 1, 1, 1, Enter."""
    for number in range(3):
        expect(hand.step(number)).to_be_focused()  # the key before has gone on to it
        hand.mark(number, "1", "ok")
    hand.accept()


def reworded(hand: Hand) -> None:
    """A step is wrong, why, and how it should read."""
    hand.press("ArrowDown")
    hand.mark(1, "2", "wrong")
    hand.press("c", "3")
    expect(hand.step(1).locator(".chosen")).to_have_text(REASONS[2])
    hand.wrote(marks=[("wrong", 1, REASONS[2], "")])
    hand.press("r", "Control+a")
    hand.write(BETTER)
    hand.wrote()
    hand.press("Enter")
    expect(hand.step(1).locator(".rewrite")).to_have_text(BETTER)
    hand.wrote(marks=[("wrong", 1, REASONS[2], BETTER)])
    hand.accept(reasoning=hand.reasoning.replace(STEPS[1], BETTER))


def box_moved(hand: Hand) -> None:
    """The box is moved and made wider, unit by unit and ten at once."""
    hand.press("b")
    expect(hand.visitor["#annotate-viewer g.mine.answer"]).to_be_focused()
    hand.press("ArrowLeft", "Alt+ArrowDown", "Shift+ArrowRight", "Alt+Shift+ArrowUp")
    hand.answer("[[119,310,380,560]]")
    hand.accept(answer="[[119,310,380,560]]")


def box_added_and_deleted(hand: Hand) -> None:
    hand.press("n")
    hand.answer("[[120,300,380,560],[400,400,600,600]]")
    expect(hand.visitor["#annotate-viewer g.mine[data-key=C-answer-1]"]).to_be_focused()
    hand.press("Alt+ArrowRight", "Delete")
    hand.answer(OFF)
    expect(hand.step(0)).to_be_focused()
    hand.accept()


def answer_typed(hand: Hand) -> None:
    """The answer is typed, saved, and accepted."""
    caption, reasoning = hand.caption, hand.reasoning
    hand.press("a", "Control+a")
    hand.write("[[100,330,400,431]]")
    expect(hand.visitor["#check"]).to_contain_text("answer 0 → 1, IoU 0.36 → 0.99")
    hand.answer("[[100,330,400,431]]")
    hand.press("Control+Enter")
    expect(hand.visitor["#annotate-notice"]).to_contain_text("Saved")
    hand.wrote(revisions=[(caption, reasoning, "[[100,330,400,431]]")])
    hand.press("Escape")
    expect(hand.step(0)).to_be_focused()
    hand.accept(answer="[[100,330,400,431]]", saved=True)


def changed_my_mind(hand: Hand) -> None:
    """A verdict is taken back; a rejection, too."""
    hand.mark(0, "3", "unsupported")
    hand.press("u")
    expect(hand.step(0)).to_have_attribute("data-state", "")
    hand.wrote(marks=[("undo", 0, "", "")])
    caption = hand.caption
    if hand.left_over() == 1:
        hand.accept()
        return
    other = hand.leave("x", "Rejected")
    hand.wrote(reviews=[("reject",)], leases=[("release", caption), ("take", other)])
    before = hand.shown
    hand.press("u")
    expect(hand.visitor["#steps .steps"]).not_to_have_attribute("data-revision", str(before))
    hand.arrive()
    assert hand.caption == caption
    hand.wrote(withdrawals=[("Ada",)], leases=[("take", caption), ("release", other)])
    hand.accept()


def rejected(hand: Hand) -> None:
    caption, reasoning = hand.caption, hand.reasoning
    hand.mark(0, "2", "wrong")
    other = hand.leave("x", "Rejected")
    hand.wanted[caption] = ("rejected", reasoning, OFF)
    hand.wrote(reviews=[("reject",)], leases=[("release", caption)] + [("take", other)] * bool(other))


def skipped(hand: Hand) -> None:
    """Looked at and left for later: it comes again when all others are done."""
    if hand.caption in hand.skipped or hand.left_over() == 1:
        hand.accept()
        return
    caption = hand.caption
    hand.skipped.add(caption)
    other = hand.leave("s", "")
    hand.wrote(leases=[("skip", caption), ("take", other)])


WAYS = (
    found_right,
    reworded,
    skipped,
    box_moved,
    changed_my_mind,
    answer_typed,
    rejected,
    box_added_and_deleted,
)


def test_fifty_captions_by_keyboard_alone(browser):
    demo = page()
    store = demo.page.store
    ids = captions(store, FIFTY, "\n".join(STEPS))
    with served(demo) as url, opened(browser, url) as visitor:
        hand, turn = Hand(visitor, store), 0
        while hand.left_over():
            WAYS[turn % len(WAYS)](hand)
            turn += 1
        assert not visitor.errors
    assert set(hand.wanted) == set(ids) and len(hand.skipped) >= 6
    for caption, (decided, reasoning, answer) in hand.wanted.items():
        now = store.caption(caption)
        assert (now["state"], now["revision"]["reasoning"], now["revision"]["answer"]) == (
            decided,
            reasoning,
            answer,
        )
    assert {row["caption"] for row in store.accepted()} == {i for i in ids if hand.wanted[i][0] == "accepted"}
    assert hand.keys > 500
