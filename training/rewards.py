"""What an answer of stage R earns: the evaluator's own score of its task, and its form. One number for each answer.

    task     grounding: IoU; closed answers: right or wrong; open-ended answers: the judge's grade, 0..1.
             tinyrs.metrics.score decides all but the last, so reward and evaluation cannot drift apart.
    format   1 for one reasoning and then one answer, each with content, and nothing around them; else 0.
    reward   task + format_weight * format. An answer that cannot be scored (the judge failed, or there is no truth)
             earns None as a whole: a lone 1.0 for its form would be read as a bad answer by its group.

Variants of the task reward (the paper's ablation, section 6). They shape IoU and grades; right or wrong stays so.

    continuous  the score as it is
    binary      1 from IoU 0.5, or a grade of 0.7, on; else 0
    quantized   1 from 0.7 on, 0 up to 0.4, and (s - 0.4) / 0.3 between. The paper says "scaled" for what lies
                between, which may also mean s itself; this reading has no jump at either end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from tinyrs.example import Answer, Example, Task
from tinyrs.metrics import IOU_RIGHT, format_ok, score
from tinyrs.parse import parse
from tinyrs.prompt import is_choice
from training.recipe import REWARDS

if TYPE_CHECKING:
    from training.judge import Judge

GRADE_RIGHT = 0.7
QUANTIZED = 0.4, 0.7


def needs_judge(example: Example) -> bool:
    """Can only a judge score answers to this? True for open-ended questions with a reference answer."""
    question = example.question
    return question.task in (Task.OPEN, Task.CAPTIONING) and not is_choice(question)


def shape(value: float, variant: str, right: float) -> float:
    """A score of 0..1 under a variant of the reward; `right` is where the binary one begins."""
    if variant == "continuous":
        return value
    if variant == "binary":
        return float(value >= right)
    if variant != "quantized":
        raise ValueError(f"The reward {variant!r} is unknown; there are {', '.join(REWARDS)}.")
    low, high = QUANTIZED
    if value >= high:
        return 1.0
    return 0.0 if value <= low else (value - low) / (high - low)


def task_reward(
    example: Example,
    answer: Answer,
    grade: float | None = None,
    variant: str = "continuous",
    dialect: str = "tinyrs",
) -> float | None:
    """0..1 for being right, whatever the form; None where `answer` cannot be scored.

    `grade` is what the judge said, 0..1, and only counts where nothing else can score.
    """
    if needs_judge(example):
        return None if grade is None else shape(grade, variant, GRADE_RIGHT)
    scored = score(example, answer, dialect)
    if scored.iou is not None:
        return shape(scored.iou, variant, IOU_RIGHT)
    return scored.value


class Reward:
    """The one reward function of a run, as TRL calls it. Counts what it saw; `table` is the last batch.

    groups, flat      groups of answers to one prompt so far, and those whose rewards are all the same: these teach
                      nothing. A group of which fewer than two answers could be scored is flat too.
    """

    __name__ = "reward"

    def __init__(
        self,
        generations: int,
        *,
        variant: str = "continuous",
        format_weight: float = 1.0,
        thinking: bool = True,
        dialect: str = "tinyrs",
        judge: Judge | None = None,
    ):
        if variant not in REWARDS:
            raise ValueError(f"The reward {variant!r} is unknown; there are {', '.join(REWARDS)}.")
        self.generations, self.variant, self.format_weight = generations, variant, format_weight
        self.thinking, self.dialect, self.judge = thinking, dialect, judge
        self.groups = self.flat = 0
        self.table: list[dict] = []

    def __call__(
        self,
        prompts: Sequence,
        completions: Sequence,
        completion_ids: Sequence[Sequence[int]],
        example: Sequence[Example],
        image: Sequence | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns,
    ) -> list[float | None]:
        """One reward for each of `completions`; the answers to one prompt stand side by side."""
        texts = [one if isinstance(one, str) else one[0]["content"] for one in completions]
        given = [parse(text, dialect=self.dialect, thinking=self.thinking) for text in texts]
        grades = self._grades(example, given, image)
        self.table = []
        for one, answer, grade, ids in zip(example, given, grades, completion_ids, strict=True):
            task = task_reward(one, answer, grade, self.variant, self.dialect)
            form = float(format_ok(answer, self.thinking))
            self.table.append(
                {
                    "task": one.question.task.value,
                    "question": one.question.text,
                    "truth": one.answer,
                    "completion": answer.raw,
                    "reward": None if task is None else task + self.format_weight * form,
                    "task_reward": task,
                    "format": form,
                    "tokens": len(ids),
                }
            )
        self._report(log_metric)
        return [row["reward"] for row in self.table]

    def _grades(self, examples, given, images) -> list[float | None]:
        grades: list[float | None] = [None] * len(given)
        asked = [i for i, one in enumerate(examples) if needs_judge(one)]
        if asked and self.judge is not None:
            from training.judge import Case

            cases = [
                Case(
                    examples[i].question.text,
                    examples[i].answer,
                    given[i].text,
                    images[i] if images else None,
                )
                for i in asked
            ]
            for i, grade in zip(asked, self.judge.grades(cases), strict=True):
                grades[i] = grade
        return grades

    def _report(self, log_metric) -> None:
        rewards = [row["reward"] for row in self.table]
        groups = [rewards[at : at + self.generations] for at in range(0, len(rewards), self.generations)]
        flat = sum(len({each for each in group if each is not None}) < 2 for group in groups)
        self.groups, self.flat = self.groups + len(groups), self.flat + flat
        if log_metric is None:
            return
        log_metric("groups/zero_variance", flat / len(groups))
        log_metric("unscored", fmean(reward is None for reward in rewards))
        curves = defaultdict(list)
        for row in self.table:
            for name in ("task_reward", "format", "tokens"):
                if row[name] is not None:
                    curves[f"{name}/{row['task']}"].append(row[name])
        for name, values in sorted(curves.items()):
            log_metric(name, fmean(values))
