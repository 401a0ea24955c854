"""Did thinking help? One run's two sides beside each other, as far as a page without the truth can say.

Pure functions from a `Shown` to HTML. Which answer is right is said by nobody here: that is what votes are for.
"""

from __future__ import annotations

from tinyrs.example import Answer
from tinyrs.render import agreement, escape
from tinyrs.shown import SIDES, Shown


def card(shown: Shown) -> str:
    """The table of both sides, what thinking cost, and whether they agree; "" while one has not answered."""
    if any(side not in shown.replies or side not in shown.answers for side in SIDES):
        return _agree(shown)
    sides = [(shown.answers[side], shown.replies[side]) for side in SIDES]
    rows = [
        ("First token", *(_time(reply.first_token) for _, reply in sides)),
        ("Total", *(_time(reply.seconds) for _, reply in sides)),
        ("Tokens", *(str(int(reply.tokens)) for _, reply in sides)),
        ("Steps of reasoning", *(str(len(answer.reasoning)) for answer, _ in sides)),
        ("Boxes", *(str(len(answer.boxes)) for answer, _ in sides)),
        ("Truncated", *("yes" if answer.truncated else "no" for answer, _ in sides)),
        ("Well-formed", *("yes" if answer.well_formed else "no" for answer, _ in sides)),
    ]
    body = "".join(f'<tr><th scope="row">{name}</th><td>{a}</td><td>{b}</td></tr>' for name, a, b in rows)
    # A side that failed has no cost that could be told.
    thinkers = [side for side in SIDES if shown.answers[side].reasoning and not shown.errors]
    title = "Did thinking help?" if len(thinkers) == 1 else "Side by side"
    return (
        f'<section class="helped" aria-label="{title}"><h3>{title}</h3>{_agree(shown)}{_cost(shown, thinkers)}'
        f'<table><thead><tr><td></td><th scope="col" class="side-a">A</th><th scope="col" class="side-b">B</th></tr>'
        f"</thead><tbody>{body}</tbody></table></section>"
    )


def _agree(shown: Shown) -> str:
    return agreement(shown.same(), shown.overlap())


def _cost(shown: Shown, thinkers: list[str]) -> str:
    """What the side that reasoned took more, in one sentence."""
    if len(thinkers) != 1:
        return ""
    thinker = thinkers[0]
    other = next(side for side in SIDES if side != thinker)
    mine, its = shown.replies[thinker], shown.replies[other]
    times = f", {mine.seconds / its.seconds:.1f} times as long" if its.seconds > 0 else ""
    more = int(mine.tokens) - int(its.tokens)
    words = f"{more} more token{'s' * (more > 1)}" if more > 0 else "no more tokens"
    said = f"Reasoning took {thinker} {words} and {_time(mine.seconds)} in all{times}."
    same, overlap = shown.same(), shown.overlap()
    if same or (overlap is not None and overlap >= 0.5):
        said += " It came to the same answer, so here it changed nothing but the explanation."
    elif same is False or overlap is not None:
        said += " It came to another answer. Which is right is for you to say."
    return f"<p>{escape(said)}</p>"


def hidden(answer: Answer | None) -> Answer | None:
    """An answer without anything that tells which model wrote it but its words: for a blind vote."""
    return answer and Answer(raw="", text=answer.text, boxes=answer.boxes, well_formed=True)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
