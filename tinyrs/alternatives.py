"""Which of several outcomes a written reasoning comes to, and whether that is another one than its answer says.

    count("How many ships are there?", ["Three lie at the quay.", "Four more are anchored."], 5)       # 7
    offered(("river", "road"), ["It meanders through the fields."], 1)                               # 0, or None where not sure

Each outcome is held against the reasoning by itself (tinyrs.amounts, tinyrs.orders, tinyrs.offered), and a linear model weighs
what speaks for it. Rules read what is said outright (tinyrs.tally, tinyrs.conclusions, tinyrs.yes_no) and are one voice
among the others. The weights (alternatives.json) come from `python -m training.alternatives`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tinyrs import weighing
from tinyrs.amounts import Count
from tinyrs.offered import Offer
from tinyrs.orders import OUTCOMES, Compared, Order
from tinyrs.weighing import Weights, lead, load

WEIGHTS = Path(__file__).with_name("alternatives.json")
SURE = {"count": 1.7, "order": 1.5, "offer": 1.6}
"""Log odds from which on another outcome than the answer's is taken to be read."""
RULE = {"count": 1.0, "order": 2.0}
"""What a rule's reading weighs beside the model's."""


def weigh(kind: str, signs: Collection[str], weights: Weights | None = None) -> float:
    """How much speaks for an outcome, in log odds, by (pieces, unit) other than the stored ones where given."""
    return weighing.weigh((f"{kind} {sign}" for sign in signs), weights or load(WEIGHTS))


def count(question: str, steps: Sequence[str], answer: int) -> int | None:
    """The number that the reasoning to a question of how many comes to, where that is another one than `answer`."""
    counting = Count(question, steps)
    weighed = {number: weigh("count", counting.signs(number)) for number in counting.alternatives.union((answer,))}
    said = counting.rule_fits(answer)
    ahead = lead(weighed, (answer,)) + (0 if said is None else -RULE["count"] if said else RULE["count"])
    return _likeliest_but(weighed, answer) if ahead > SURE["count"] else None


def order(asked: Compared, steps: Sequence[str], rule: bool | None) -> bool | None:
    """Whether the reasoning to a comparison comes to yes; None where that is not sure. `rule` is what a rule reads in it: one
    voice more beside the model's, and what holds where both together are not sure."""
    no = lead({outcome: weigh("order", found) for outcome, found in order_signs(asked, steps, rule).items()}, asked.yes)
    no += 0 if rule is None else -RULE["order"] if rule else RULE["order"]
    return rule if abs(no) <= SURE["order"] else no < 0


def offered(names: Sequence[str], steps: Sequence[str], answer: int, letters: Sequence[str] = ()) -> int | None:
    """Which of the answers that a question offers the reasoning comes to, where it is another one than the one given."""
    weighed = {at: weigh("offer", signs) for at, signs in offer_signs(names, steps, letters).items()}
    return _likeliest_but(weighed, answer) if lead(weighed, (answer,)) > SURE["offer"] else None


def _likeliest_but(weighed: Mapping[int, float], answer: int) -> int:
    return max((outcome for outcome in weighed if outcome != answer), key=weighed.__getitem__)


def count_signs(question: str, steps: Sequence[str], more: Collection[int]) -> dict[int, set[str]]:
    """The signs of every number that the reasoning may come to, and of `more`."""
    counting = Count(question, steps)
    return {number: counting.signs(number) for number in sorted(counting.alternatives.union(more))}


def order_signs(asked: Compared, steps: Sequence[str], rule: bool | None) -> dict[str, set[str]]:
    """The signs of each of OUTCOMES."""
    ordering = Order(asked, steps, rule)
    return {outcome: ordering.signs(outcome) for outcome in OUTCOMES}


def offer_signs(names: Sequence[str], steps: Sequence[str], letters: Sequence[str] = ()) -> dict[int, set[str]]:
    """The signs of every answer that is offered, by its number."""
    offer = Offer(names, steps, letters)
    return {at: offer.signs(at) for at in range(len(names))}
