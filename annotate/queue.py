"""Who works on which caption next: order, leases, skip, undo.

The order is by information (annotate/signals.py), and every fifth caption that a person gets comes from the
random sample instead, so that what was annotated by then can also say how good the model is.

A lease is a courtesy that keeps two people from the same caption; what keeps their texts from being lost is
the store's guarded insert. Leases are rows like all others: the newest one of a caption says who holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlite_utils import Database

from annotate import rules
from annotate.store import Store
from tinyrs.example import Box

LEASE_MINUTES = 15
RANDOM_EVERY = 5
"""One caption in so many is taken from the random sample."""

_TAKEN = """EXISTS (SELECT 1 FROM leases l WHERE l.kind = 'take' AND l.until > :now
    AND l.id = (SELECT max(m.id) FROM leases m WHERE m.caption = h.caption) {mine})"""
_HELD = _TAKEN.format(mine="AND l.author = :author")
_FREE = "NOT " + _TAKEN.format(mine="")
# For speed alone: without it every caption would be asked whether this author holds it.
_OF_AUTHOR = "SELECT caption FROM leases WHERE author = :author AND kind = 'take' AND until > :now"

_SKIPPED = (
    "(SELECT max(s.id) FROM leases s WHERE s.caption = h.caption AND s.author = :author AND s.kind = 'skip')"
)

# Whoever wrote the newest text, here or in the revision that an undo went back to, may not review it.
_NOT_OWN = """NOT EXISTS (SELECT 1 FROM revisions w JOIN revisions r ON r.id = h.revision
    WHERE w.caption = h.caption AND w.reasoning = r.reasoning AND w.answer = r.answer
      AND w.author = :author)"""


# Whoever knows the right text of a gold item is not measured by it.
_NOT_OWN_GOLD = "NOT EXISTS (SELECT 1 FROM golds g WHERE g.caption = h.caption AND g.author = :author)"


def next_to_annotate(store: Store, author: str, minutes: float = LEASE_MINUTES) -> dict | None:
    """The caption to correct next (as `Store.caption`, plus "lease_until"), leased to `author`, or None.

    A caption that the author already holds comes first, so that a reload shows it again; then by rank, of one
    rank the oldest first, but every RANDOM_EVERY-th from the random sample; at last those that this author
    skipped. "offered" says which of these it was: "again", "order", "random" or "skipped".
    """
    return _next(store, author, minutes, "annotate", _NOT_OWN_GOLD)


def next_to_review(
    store: Store, author: str, minutes: float = LEASE_MINUTES, overlap: int = 1
) -> dict | None:
    """The same for captions whose correction waits for a review. Of one's own text nothing is offered, unless
    the store allows self_review.

    `overlap` is how many people judge each caption of the random sample: when nothing waits, those of the sample that
    fewer have judged are offered to who has not, which "offered" calls "overlap". The last verdict counts.
    """
    found = _next(store, author, minutes, "review", "true" if store.self_review else _NOT_OWN)
    if found is None and overlap > 1:
        for state in ("accepted", "rejected"):
            found = found or _next(store, author, minutes, state, f"{_NOT_OWN} AND {_TOO_FEW}", overlap, "overlap")
    return found


_TOO_FEW = """h.sample AND (SELECT count(DISTINCT v.author) FROM standing_reviews v WHERE v.revision = h.revision) < :overlap
    AND NOT EXISTS (SELECT 1 FROM standing_reviews v WHERE v.revision = h.revision AND v.author = :author)"""


def _next(
    store: Store, author: str, minutes: float, state: str, also: str, overlap: int = 1, called: str = ""
) -> dict | None:
    author = rules.person(author)
    values = {"author": author, "now": store.now(), "state": state, "overlap": overlap}
    with store.write() as db:
        turn = _finished(db, author) % RANDOM_EVERY == RANDOM_EVERY - 1
        free = f"{_FREE} AND {also} AND {_SKIPPED} IS NULL"
        ways = (
            ("again", f"h.caption IN ({_OF_AUTHOR}) AND {_HELD} AND {also} ORDER BY h.caption"),
            ("random", f"{free} AND h.sample ORDER BY h.caption" if turn else ""),
            ("order", f"{free} ORDER BY h.rank, h.caption"),
            ("skipped", f"{_FREE} AND {also} AND {_SKIPPED} IS NOT NULL ORDER BY {_SKIPPED}"),
        )
        for offered, rest in ways:
            if rest and (found := _first(db, rest, values)):
                break
        else:
            return None
        offered = called or offered
        until = _lease(db, store, found[0], author, "take", 60 * minutes, offered)
    return {**store.caption(found[0]), "lease_until": until, "offered": offered}


def _finished(db: Database, author: str) -> int:
    sql = "SELECT count(*) FROM leases WHERE author = ? AND kind = 'release' AND why <> 'back'"
    return db.conn.execute(sql, [author]).fetchone()[0]


def _first(db: Database, rest: str, values: dict) -> tuple[int] | None:
    # The + keeps SQLite from walking through every caption of this state where the author's own few are asked for.
    state = "+h.state" if rest.startswith("h.caption IN") else "h.state"
    sql = f"SELECT h.caption FROM heads h WHERE {state} = :state AND {rest} LIMIT 1"
    return db.conn.execute(sql, values).fetchone()


def _lease(
    db: Database, store: Store, caption: int, author: str, kind: str, seconds: float = 0, why: str = ""
) -> str:
    until = store.now(seconds)
    db.conn.execute(
        "INSERT INTO leases (caption, author, kind, until, why, created_at) VALUES (?,?,?,?,?,?)",
        [caption, author, kind, until, why, store.now()],
    )
    return until


def _holds(db: Database, store: Store, caption: int, author: str) -> bool:
    last = db.conn.execute(
        "SELECT author, kind, until FROM leases WHERE caption = ? ORDER BY id DESC LIMIT 1", [caption]
    ).fetchone()
    return bool(last) and last[:2] == (author, "take") and last[2] > store.now()


def release(store: Store, caption: int, author: str, *, done: bool = True) -> None:
    """Give a caption back; nothing happens when `author` does not hold it (any more).

    `done=False`: it was only looked at, which neither counts as work nor can be undone.
    """
    author = rules.person(author)
    with store.write() as db:
        if _holds(db, store, caption, author):
            _lease(db, store, caption, author, "release", why="" if done else "back")


def skip(store: Store, caption: int, author: str) -> None:
    """Give a caption back, and see it again only after all others. Raises Refused without a lease on it."""
    author = rules.person(author)
    with store.write() as db:
        # Without a lease the row would end that of somebody else.
        if not _holds(db, store, caption, author):
            raise rules.Refused("You do not hold this caption any more.")
        _lease(db, store, caption, author, "skip")


def submit(
    store: Store,
    parent: int,
    *,
    reasoning: str,
    answer: str,
    author: str,
    note: str = "",
    boxes: Sequence[Box] | None = None,
    minutes: float = LEASE_MINUTES,
) -> tuple[int, dict | None]:
    """Save a correction (see `Store.save_correction`), give its lease back, lease the next caption.

    Returns (the new revision's id, the next caption or None). On a Conflict the lease stays as it is. A text
    may be saved without a lease, for it may have run out while the person was thinking.
    """
    revision = store.save_correction(
        parent, reasoning=reasoning, answer=answer, author=author, note=note, boxes=boxes
    )
    release(store, store.revision(revision)["caption"], author)
    return revision, next_to_annotate(store, author, minutes)


def undo(store: Store, revision: int, author: str, minutes: float = LEASE_MINUTES) -> dict:
    """Take back `revision` (see `Store.undo`) and hold its caption again: the caption, with "lease_until"."""
    caption = store.revision(store.undo(revision, author=author))["caption"]
    author = rules.person(author)
    with store.write() as db:
        until = _lease(db, store, caption, author, "take", 60 * minutes)
    return {**store.caption(caption), "lease_until": until}


def reopen(store: Store, author: str, minutes: float = LEASE_MINUTES) -> dict | None:
    """Take back the last thing that `author` did to a caption and gave away, and hold that caption again.

    A verdict on its newest text is withdrawn; what was skipped is held again. The caption, with
    "lease_until"; None when nothing was done, or somebody else works on it by now.
    """
    author = rules.person(author)
    with store.read() as db:
        # A caption with a newer lease is held again, by this person or by somebody else.
        last = db.conn.execute(
            "SELECT l.caption FROM leases l WHERE l.author = ? AND l.kind <> 'take' AND l.why <> 'back'"
            " AND l.id = (SELECT max(m.id) FROM leases m WHERE m.caption = l.caption)"
            " ORDER BY l.id DESC LIMIT 1",
            [author],
        ).fetchone()
        if not last:
            return None
        review = db.conn.execute(
            "SELECT v.id FROM heads h JOIN standing_reviews v ON v.revision = h.revision"
            " WHERE h.caption = ? AND v.author = ? ORDER BY v.id DESC LIMIT 1",
            [last[0], author],
        ).fetchone()
    if review:
        store.withdraw_review(review[0], author=author)
    with store.write() as db:
        until = _lease(db, store, last[0], author, "take", 60 * minutes, "again")
    return {**store.caption(last[0]), "lease_until": until, "offered": "again"}


def left(store: Store) -> dict[str, int]:
    """{"annotate": n, "review": n}: how many captions wait for each."""
    with store.read() as db:
        return {
            state: db.conn.execute("SELECT count(*) FROM heads WHERE state = ?", [state]).fetchone()[0]
            for state in ("annotate", "review")
        }
