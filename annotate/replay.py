"""Every flagged question, put to a model again: what was wrong and is right now, and the other way round.

    python -m annotate replay --model runs/next --db data/tinyrs.db

The truth is what people accepted: a caption's accepted answer, or one that was accepted for the same question about
the same picture, or the answer that its data set gives. An answer is right where the strict score is 1, the form is
kept, and no check finds the reasoning at odds with the answer. Answers are kept as they come, so that a replay that
was stopped goes on, and the same checkpoint is asked once; another one under the same name is another model.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annotate.record import Record
from annotate.rows import question_in, side_in, to_json
from annotate.rules import Refused
from annotate.store import Store
from annotate.thinking import Wrote
from tinyrs.checks import Finding, check
from tinyrs.engine import EngineFailure, open_engine
from tinyrs.example import Answer, Example, Question, Task
from tinyrs.image import BadImage, open_picture
from tinyrs.metrics import score, wilson
from tinyrs.models import ModelSpec, UnknownModel, weights_digest
from tinyrs.parse import boxes, parse

if TYPE_CHECKING:
    from tinyrs.engine import Engine

VERDICTS = ("fixed", "still wrong", "newly broken", "still right", "not judged")
AT_ODDS = ("contradiction", "counts", "numbers")
"""Checks that find a reasoning which does not lead to its answer."""


@dataclass(frozen=True)
class Flagged:
    """A question that was flagged: the picture's sha256, what was answered then, and the truth ("" unknown)."""

    picture: str
    question: Question
    before: tuple[Answer, ...]
    truth: str

    @property
    def key(self) -> str:
        """What it is called in the record of answers."""
        asked = [self.picture, self.question.text, self.question.task.value, list(self.question.labels)]
        return hashlib.sha256(to_json(asked).encode()).hexdigest()[:32]

    def right(self, answer: Answer) -> bool | None:
        """Is `answer` right? None where the truth is not known, or only a judge could say."""
        found = boxes(self.truth) if self.question.task is Task.GROUNDING else ()
        example = Example(Path(self.picture), self.question, self.truth, found)
        value = score(example, answer).value if self.truth else None
        if value is None:
            return None
        findings = check(self.question, "\n".join(answer.reasoning), answer.text, boxes=answer.boxes)
        return value == 1 and answer.well_formed and not any(found.check in AT_ODDS for found in findings)

    def verdict(self, answer: Answer) -> str:
        """One of VERDICTS."""
        then, now = [self.right(each) for each in self.before], self.right(answer)
        if now is None:
            return "not judged"
        if all(then):
            return "still right" if now else "newly broken"
        return "fixed" if now else "still wrong"


def flagged(store: Store) -> list[Flagged]:
    """Every question with a flag, each once, oldest first."""
    with store.read() as db:
        rows = list(
            db.query(
                "SELECT r.picture, r.question, r.task, r.labels, s.id AS side_id, s.*, max(f.caption) AS caption"
                " FROM standing_flags f JOIN runs r ON r.id = f.run JOIN sides s ON s.run = f.run AND s.side = f.side"
                " GROUP BY s.id ORDER BY r.number, s.id"
            )
        )
        given = dict(db.conn.execute("SELECT caption, answer FROM given_answers").fetchall())
    accepted = store.accepted()
    own = {row["caption"]: row["answer"] for row in accepted}
    asked: dict[tuple, set[str]] = {}
    for row in accepted:
        asked.setdefault((row["picture"], row["question"]), set()).add(row["answer"])
    questions: dict[tuple, list[dict]] = {}
    for row in rows:
        questions.setdefault((row["picture"], question_in(_asked(row))), []).append(row)
    found = []
    for (picture, question), sides in questions.items():
        truths = {own[side["caption"]] for side in sides if side["caption"] in own}
        truths = truths or asked.get((picture, question), set())
        truths = truths or {given[side["caption"]] for side in sides if side["caption"] in given}
        # Where people disagree nobody knows.
        truth = truths.pop() if len(truths) == 1 else ""
        found.append(Flagged(picture, question, tuple(side_in(side).answer for side in sides), truth))
    return found


def _asked(row: Mapping) -> dict:
    return {name: row[name] for name in ("question", "task", "labels")}


def head(spec: ModelSpec) -> dict:
    """What makes two models the same one: weights by content, and how they are asked."""
    folder = Path(spec.source)
    return {
        "model": spec.name,
        "weights": weights_digest(folder) if folder.is_dir() else f"{spec.source} {spec.revision}",
        "asked": [spec.dialect, spec.thinking, spec.system, spec.min_pixels, spec.max_pixels],
    }


def replay(store: Store, model: str, out: Path | None = None, batch: int = 8) -> dict:
    """Ask `model` what was flagged; {"model", "n", "fixed", ..., "rows": [...]}, see `told`.

    `out` is the record of answers (default: in the folder "replays" beside the database, by the model's weights).
    Raises Refused where there is nothing to ask, or the model or a picture cannot be opened.
    """
    questions = flagged(store)
    if not questions:
        raise Refused("No question has been flagged: there is nothing to ask again.")
    try:
        engine = open_engine(model)
    except (UnknownModel, EngineFailure) as problem:
        raise Refused(str(problem)) from None
    same = head(engine.spec)
    name = hashlib.sha256(json.dumps(same).encode()).hexdigest()[:16]
    with Record(out or store.path.parent / "replays" / f"{name}.jsonl", same) as record:
        _ask(store, engine, questions, record, batch)
        rows = [(each, _answer(engine.spec, record.attempts[each.key][0])) for each in questions]
    verdicts = [each.verdict(answer) for each, answer in rows]
    counts = Counter(verdicts)
    return {
        "model": model,
        "n": len(questions),
        **{verdict.replace(" ", "_"): counts[verdict] for verdict in VERDICTS},
        "rows": [
            {
                "picture": each.picture,
                "question": each.question.text,
                "truth": each.truth,
                "before": [answer.text for answer in each.before],
                "now": answer.text,
                "verdict": verdict,
            }
            for (each, answer), verdict in zip(rows, verdicts, strict=True)
        ],
    }


def _ask(store: Store, engine: Engine, questions: Sequence[Flagged], record: Record, batch: int) -> None:
    from tqdm import tqdm

    left = [each for each in questions if each.key not in record.attempts]
    with tqdm(total=len(questions), initial=len(questions) - len(left), unit="question") as bar:
        for start in range(0, len(left), batch):
            some = left[start : start + batch]
            try:
                pairs = [(open_picture(store.picture_path(q.picture)).image, q.question) for q in some]
                replies = engine.batch(pairs)
            except BadImage as problem:
                raise Refused(f"A flagged picture cannot be opened: {problem}") from None
            except EngineFailure as problem:
                raise Refused(f"{problem} The same command goes on from here.") from None
            for each, reply in zip(some, replies, strict=True):
                cut = [Finding("truncated", "")] if reply.truncated else []
                record.answered(each.key, Wrote(reply.text, 0, reply.tokens), cut)
            bar.update(len(some))


def _answer(spec: ModelSpec, line: Mapping) -> Answer:
    return parse(
        line["text"],
        dialect=spec.dialect,
        thinking=spec.thinking,
        truncated=bool(line["findings"]),
        box_scale=spec.box_scale,
    )


def told(result: Mapping) -> str:
    """The result for a person, with 95 % intervals."""
    fixed, wrong = result["fixed"], result["still_wrong"]
    broken, right = result["newly_broken"], result["still_right"]
    judged = fixed + wrong + broken + right
    return "\n".join(
        [
            f"{result['model']}: {result['n']} flagged questions, {judged} with a known truth.",
            f"fixed          {_share(fixed, fixed + wrong, 'wrong')}",
            f"still wrong    {_share(wrong, fixed + wrong, 'wrong')}",
            f"newly broken   {_share(broken, broken + right, 'right')}",
            f"still right    {_share(right, broken + right, 'right')}",
            f"not judged     {result['not_judged']} (open questions, or nothing accepted)",
        ]
    )


def _share(count: int, of: int, before: str) -> str:
    if not of:
        return f"0 (n = 0: nothing was {before})"
    low, high = wilson(count, of)
    return f"{count} of n = {of} that was {before} ({count / of:.0%}, {low:.0%} to {high:.0%})"
