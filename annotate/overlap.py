"""What two people said of the same thing, read from the store: the rows that annotate/agreement.py measures.

Three sources: verdicts that a second person gave on the same steps, texts that a reviewer accepted or amended,
and gold items, whose right text was put aside before anybody else saw the caption.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from annotate import marks, rules
from annotate.agreement import Compared
from annotate.rows import exists, insert
from annotate.store import Store

GOLD = "gold"


def add_gold(store: Store, caption: int, *, reasoning: str, answer: str, author: str) -> int:
    """Keep the right text of `caption` aside; returns the gold item's id. The caption itself waits as before.

    Raises Refused for a text that could not be accepted, or a caption that somebody has worked on already, whose
    truth would not have been hidden.
    """
    author = rules.person(author)
    reasoning, answer = rules.text(reasoning, "reasoning"), rules.text(answer, "answer", empty=False)
    now = store.caption(caption)
    problems = rules.caption_problems(now["question"], reasoning, answer)
    if problems:
        raise rules.Refused("This cannot be a gold item yet: " + " ".join(problems))
    if now["state"] != "annotate" or len(store.history(caption)) > 1:
        raise rules.Refused("Only a caption that nobody has corrected yet can be a gold item.")
    with store.write() as db:
        exists(db, "captions", "id", caption, "caption")
        row = {"caption": caption, "reasoning": reasoning, "answer": answer, "author": author}
        if db.conn.execute("SELECT 1 FROM golds WHERE caption = ?", [caption]).fetchone():
            raise rules.Refused("This caption is a gold item already.")
        return insert(db, "golds", {**row, "created_at": store.now()})


def compared(store: Store) -> list[Compared]:
    """Everything that two people said of the same thing. `by` came first, `other` second, or is GOLD."""
    labels = _labels(store)
    found = (*_verdicts(store), *_reviews(store), *_golds(store))
    return [replace(row, label=labels.get(row.caption, "")) for row in found]


def judged(store: Store) -> list[list[str]]:
    """The verdicts that each step got which two people or more have judged."""
    sql = (
        "SELECT revision, step, author, verdict FROM standing_marks m WHERE NOT EXISTS (SELECT 1 FROM golds g"
        " JOIN revisions r ON r.caption = g.caption WHERE r.id = m.revision) ORDER BY id"
    )
    steps: dict[tuple[int, int], dict[str, str]] = {}
    with store.read() as db:
        for revision, step, author, verdict in db.conn.execute(sql):
            steps.setdefault((revision, step), {})[author] = verdict
    return [list(said.values()) for said in steps.values() if len(said) > 1]


def _labels(store: Store) -> dict[int, str]:
    """The class of each classified picture: what the data set says, else what it came in with."""
    with store.read() as db:
        rows = db.conn.execute(
            "SELECT c.id, coalesce(g.answer, r.answer) FROM captions c"
            " JOIN revisions r ON r.caption = c.id AND r.parent IS NULL"
            " LEFT JOIN given_answers g ON g.caption = c.id WHERE c.task = 'classification'"
        ).fetchall()
    return {caption: answer.strip().casefold()[:60] for caption, answer in rows}


def _verdicts(store: Store):
    with store.read() as db:
        twice = db.conn.execute(
            "SELECT m.revision, c.id, c.task FROM standing_marks m JOIN revisions r ON r.id = m.revision"
            " JOIN captions c ON c.id = r.caption LEFT JOIN golds g ON g.caption = c.id WHERE g.id IS NULL"
            " GROUP BY m.revision HAVING count(DISTINCT m.author) > 1 ORDER BY m.revision"
        ).fetchall()
    for revision, caption, task in twice:
        # In the order in which they came: the first mark of each is older.
        said = sorted(marks.of_revision(store, revision).items(), key=lambda item: min(m["id"] for m in item[1].values()))
        for (one, ones), (other, others) in combinations(said, 2):
            if pairs := _both(ones, others):
                yield Compared(one, other, task, pairs, caption=caption)


def _both(ones: dict, others: dict) -> tuple[tuple[str, str], ...]:
    return tuple((ones[step]["verdict"], others[step]["verdict"]) for step in sorted(ones.keys() & others.keys()))


def _reviews(store: Store):
    with store.read() as db:
        rows = db.conn.execute(
            """SELECT c.id, c.task, r.author, v.author, v.verdict, r.reasoning, r.answer, a.reasoning, a.answer
               FROM standing_reviews v JOIN revisions r ON r.id = v.revision
               JOIN captions c ON c.id = r.caption
               LEFT JOIN revisions a ON a.parent = r.id AND v.verdict = 'amend' AND a.author = v.author
               WHERE NOT v.self_reviewed AND v.verdict <> 'reject'
                 AND NOT (r.author LIKE 'model:%' OR r.author LIKE 'import:%')
               ORDER BY v.id"""
        ).fetchall()
    for caption, task, author, reviewer, verdict, reasoning, answer, new_reasoning, new_answer in rows:
        mine = reasoning, answer
        theirs = mine if verdict == "accept" else (new_reasoning, new_answer)
        yield replace(_texts(author, reviewer, task, mine, theirs), caption=caption)


def _golds(store: Store):
    with store.read() as db:
        golds = list(
            db.query(
                "SELECT g.*, c.task, (SELECT min(id) FROM revisions WHERE caption = g.caption) AS first"
                " FROM golds g JOIN captions c ON c.id = g.caption ORDER BY g.caption"
            )
        )
    for gold in golds:
        said = marks.of_revision(store, gold["first"])
        last = {}
        for row in store.history(gold["caption"])[1:]:
            if row["restores"] is None and not rules.same_person(row["author"], gold["author"]):
                last[row["author"]] = row["reasoning"], row["answer"]
        truth = gold["reasoning"], gold["answer"]
        for author in sorted({*last, *said} - {gold["author"]}):
            if author in last:
                yield replace(_texts(author, GOLD, gold["task"], last[author], truth), caption=gold["caption"])
            if pairs := _both(said.get(author, {}), said.get(gold["author"], {})):
                yield Compared(author, GOLD, gold["task"], pairs, caption=gold["caption"])


def _texts(author: str, other: str, task: str, mine: tuple[str, str], theirs: tuple[str, str]) -> Compared:
    boxes = rules.answer_boxes(*mine), rules.answer_boxes(*theirs)
    return Compared(author, other, task, (), boxes if any(boxes) else None, ("\n".join(mine), "\n".join(theirs)))
