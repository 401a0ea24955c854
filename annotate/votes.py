"""What people's votes say of two models: shares with their interval and number, never a bare rank."""

from __future__ import annotations

from dataclasses import dataclass

from annotate.store import Store
from tinyrs.metrics import wilson


@dataclass(frozen=True)
class Tally:
    """Votes on two models: how often each won, and how often neither did."""

    wins: tuple[int, int] = (0, 0)
    ties: int = 0
    neither: int = 0

    @property
    def decided(self) -> int:
        """Votes for one of the two: the n of `share`."""
        return sum(self.wins)

    @property
    def total(self) -> int:
        return self.decided + self.ties + self.neither

    @property
    def share(self) -> float | None:
        """The first model's share of the decided votes; None without any."""
        return self.wins[0] / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson) of `share`."""
        return wilson(self.wins[0], self.decided)


_STANDING = """
    SELECT v.choice, count(*)
    FROM standing_votes v JOIN sides a ON a.run = v.run AND a.side = 'A' JOIN sides b ON b.run = v.run AND b.side = 'B'
    WHERE v.id IN (SELECT max(id) FROM standing_votes GROUP BY run, about, author)
      AND v.about = :about AND v.blind = :blind AND a.model = :a AND b.model = :b
      AND (:about = 'answer' OR (a.reasoning <> '[]' AND b.reasoning <> '[]'))
    GROUP BY v.choice"""


def tally(store: Store, one: str, two: str, *, about: str = "answer", blind: bool = True) -> Tally:
    """Everybody's last votes on runs that compared models `one` and `two`, on whichever side each stood.

    Of the votes on the reasoning those count where both reasoned. Two sides of one model tell nothing: an empty Tally.
    """
    if one == two:
        return Tally()
    with store.read() as db:
        found = [
            dict(db.conn.execute(_STANDING, {"about": about, "blind": int(blind), "a": a, "b": b}).fetchall())
            for a, b in ((one, two), (two, one))
        ]
    here, there = found
    return Tally(
        (here.get("A", 0) + there.get("B", 0), here.get("B", 0) + there.get("A", 0)),
        here.get("tie", 0) + there.get("tie", 0),
        here.get("neither", 0) + there.get("neither", 0),
    )
