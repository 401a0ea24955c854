"""What a person says of each step of a reasoning: ok, wrong or unsupported, why, and a better wording.

Rows only: changing one's mind adds a mark, taking it back adds one that names the mark it withdraws. A mark
belongs to the revision whose steps were judged, so a training row leads back to the marks behind its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from sqlite_utils import Database

from annotate import rules
from annotate.rows import insert, revision_row
from annotate.store import Store
from tinyrs.parse import split_steps

VERDICTS = ("ok", "wrong", "unsupported")
"""In the order of the keys 1, 2, 3."""

_MEDIAN_OF = 500  # verdicts: the last ones say how fast somebody is now


def add(
    store: Store, revision: int, step: int, verdict: str, *, author: str, reason: str = "", rewrite: str = ""
) -> int:
    """Say what one step (from 0) of `revision` is; returns the mark's id.

    `reason` is one of rules.REASONS, `rewrite` the step as it should read; both are "" for an ok step. With a
    verdict alone the seconds since this author's last action on the caption are kept. Raises Refused, NotFound.
    """
    author = rules.person(author)
    if verdict not in VERDICTS:
        raise rules.Refused("A step is one of: " + ", ".join(VERDICTS) + ".")
    if reason and reason not in rules.REASONS:
        raise rules.Refused("Say what is wrong with one of: " + ", ".join(rules.REASONS) + ".")
    rewrite = " ".join(rules.text(rewrite, "step").split())
    if verdict == "ok" and (reason or rewrite):
        raise rules.Refused("A step that is ok needs no reason and no other wording.")
    with store.write() as db:
        row = revision_row(db, revision)
        if isinstance(step, bool) or not isinstance(step, int):
            raise rules.Refused("The step must be a number.")
        if not 0 <= step < len(split_steps(row["reasoning"])):
            raise rules.Refused("The reasoning has no such step.")
        mark = {"revision": row["id"], "step": step, "verdict": verdict, "reason": reason, "rewrite": rewrite}
        mark["seconds"] = None if reason or rewrite else _since(db, store, row["caption"], author)
        return insert(db, "marks", {**mark, "author": author, "created_at": store.now()})


def withdraw(store: Store, revision: int, *, author: str) -> dict | None:
    """Take back this author's last mark on `revision`; that mark, or None when there is none."""
    author = rules.person(author)
    with store.write() as db:
        sql = "SELECT * FROM standing_marks WHERE revision = ? AND author = ? ORDER BY id DESC LIMIT 1"
        last = next(iter(db.query(sql, [revision, author])), None)
        if last:
            given = {key: last[key] for key in ("revision", "step")}
            given |= {"verdict": "undo", "reason": "", "rewrite": "", "withdraws": last["id"]}
            insert(db, "marks", {**given, "author": author, "created_at": store.now()})
    return last


def current(store: Store, revision: int, author: str) -> dict[int, dict]:
    """This author's mark on each step of `revision` that has one:
    {step: {"id", "verdict", "reason", "rewrite", "seconds", "created_at", ...}}."""
    with store.read() as db:
        sql = "SELECT * FROM standing_marks WHERE revision = ? AND author = ? ORDER BY id"
        return {row["step"]: row for row in db.query(sql, [revision, author])}


def of_revision(store: Store, revision: int) -> dict[str, dict[int, dict]]:
    """Everybody's marks on `revision`: {author: as `current`}."""
    found: dict[str, dict[int, dict]] = {}
    with store.read() as db:
        for row in db.query("SELECT * FROM standing_marks WHERE revision = ? ORDER BY id", [revision]):
            found.setdefault(row["author"], {})[row["step"]] = row
    return found


def pace(store: Store, author: str) -> Mapping[str, float | int | None]:
    """How fast `author` works: {"median": seconds for a one-key verdict or None, "n": how many of them,
    "caption": median seconds for a whole caption or None, "captions": how many of them}."""
    with store.read() as db:
        verdicts = db.conn.execute(
            "SELECT seconds FROM marks WHERE author = ? AND seconds IS NOT NULL ORDER BY id DESC LIMIT ?",
            [author, _MEDIAN_OF],
        ).fetchall()
        # A caption's time runs from the first take to the release; one that is skipped is not counted.
        captions = db.conn.execute(
            """SELECT 86400.0 * (julianday(r.created_at) - julianday((SELECT min(t.created_at) FROM leases t
                    WHERE t.caption = r.caption AND t.author = r.author AND t.kind = 'take'
                      AND t.id > coalesce((SELECT max(e.id) FROM leases e WHERE e.caption = r.caption
                            AND e.id < r.id AND e.kind <> 'take'), 0))))
               FROM leases r WHERE r.author = ? AND r.kind = 'release' AND r.why <> 'back' ORDER BY r.id DESC LIMIT ?""",
            [author, _MEDIAN_OF],
        ).fetchall()
    times = [seconds for (seconds,) in captions if seconds is not None]
    return {
        "median": median(seconds for (seconds,) in verdicts) if verdicts else None,
        "n": len(verdicts),
        "caption": median(times) if times else None,
        "captions": len(times),
    }


def _since(db: Database, store: Store, caption: int, author: str) -> float | None:
    """Seconds since this author's last action on `caption`, None when it was never opened by that person."""
    sql = """SELECT 86400.0 * (julianday(?) - julianday(max(at))) FROM (
        SELECT max(created_at) AS at FROM leases WHERE caption = ? AND author = ? AND kind = 'take'
        UNION ALL SELECT max(m.created_at) FROM marks m JOIN revisions r ON r.id = m.revision
            WHERE r.caption = ? AND m.author = ?)"""
    (seconds,) = db.conn.execute(sql, [store.now(), caption, author, caption, author]).fetchone()
    return None if seconds is None else round(max(seconds, 0.0), 3)
