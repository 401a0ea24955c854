"""Which accepted captions may leave the store, for each kind of export, and which texts nobody should learn.

Two limits hold for every kind. Pictures that a model was measured on leave only when somebody says so: what
`import-errors` brought in would otherwise train the model that it goes on to measure. And one person's hand in more than
SHARE of the rows can teach a model whatever that person likes, so it is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from annotate.errors import SOURCE
from annotate.rows import ask
from annotate.rules import MACHINES, Refused
from annotate.store import Store
from tinyrs.example import Task
from tinyrs.prompt import target, told_digest

SHARE = 0.2
"""Of the rows of an export may be by one person."""
_FEWEST = 20  # rows: of fewer a fifth is no limit that anybody could keep


def chosen(
    store: Store,
    kind: str,
    *,
    refused_prompts: bool = False,
    share: float = SHARE,
    measured_on: bool = False,
    benchmarks: Sequence[str] = (),
) -> tuple[list[dict], dict[str, int]]:
    """(the captions of an export of `kind`, how many accepted ones were left out and why).

    `share` is how much of it one person may have written, `measured_on` lets pictures through that came with
    the errors of an evaluation, `benchmarks` are files or folders whose pictures must not be in it, not even as near
    copies. Raises Refused where nothing is left, or one person wrote too much.
    """
    accepted = store.accepted()
    barred = _barred(store, {caption["picture"] for caption in accepted}, benchmarks, measured_on)
    allowed = [caption for caption in accepted if caption["picture"] not in barred]
    captions, left_out = _CHOOSE[kind](allowed, _came_in(store))
    if refused_prompts:
        captions += [each for each in _prompts_of_rejected(store, captions) if each["picture"] not in barred]
    if barred:
        left_out |= {"pictures of a benchmark": len(accepted) - len(allowed)}
    if not captions:
        why = f" {len(accepted) - len(allowed)} show pictures of a benchmark." if barred else ""
        raise Refused(f"There is nothing to export: no caption of this kind has been accepted.{why}")
    _nobody_wrote_it_all(captions, share)
    return captions, left_out


def _nobody_wrote_it_all(captions: list[dict], share: float) -> None:
    authors = Counter(caption["author"] for caption in captions if not caption["author"].startswith(MACHINES))
    for author, rows in authors.most_common(1):
        if len(captions) >= _FEWEST and rows > share * len(captions):
            raise Refused(
                f"{author} wrote {rows} of {len(captions)} rows, more than {100 * share:g} %: let others correct "
                "some, or allow it with --author-share."
            )


def _barred(store: Store, pictures: set[str], benchmarks: Sequence[str], measured_on: bool) -> set[str]:
    """Those of `pictures` (sha256) that a benchmark has."""
    with store.read() as db:
        sql = "SELECT DISTINCT picture FROM captions WHERE source LIKE ? || '%'"
        found = set() if measured_on else {picture for (picture,) in db.conn.execute(sql, [SOURCE])}
    if benchmarks:
        from tinyrs.leaks import Prints, find_leaks
        from tinyrs.strictjson import BadData

        try:
            leaks = find_leaks(map(store.picture_path, sorted(pictures)), benchmarks, Prints(quiet=True))
        except BadData as problem:
            raise Refused(str(problem)) from None
        found |= {leak.picture.stem for leak in leaks}
    return found & pictures


def _reasoned(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    # An answer without reasoning is a sound row for sft; for cot_sft it would teach not to reason.
    chosen = [caption for caption in captions if caption["reasoning"]]
    return chosen, {"without reasoning": len(captions) - len(chosen)}


def _all(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    return captions, {"without reasoning": 0}


def _pairs(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    """Captions that were corrected, each with the text that it came in with."""
    chosen, bare, unchanged = [], 0, 0
    for caption in captions:
        reasoning, answer = came_in[caption["caption"]]
        if (reasoning, answer) == (caption["reasoning"], caption["answer"]):
            unchanged += 1
        elif not (reasoning and caption["reasoning"]):
            # The pair would teach whether to reason, not how.
            bare += 1
        else:
            chosen.append({**caption, "instead_of": target(reasoning, answer)})
    return chosen, {"without reasoning": bare, "unchanged": unchanged}


def _prompts(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    """One caption for each question: several answers were corrected, the truth is one."""
    asked: dict[tuple, list[dict]] = {}
    for caption in captions:
        asked.setdefault((caption["picture"], caption["question"]), []).append(caption)
    agreed = [
        each[0] for each in asked.values() if all(caption["answer"] == each[0]["answer"] for caption in each)
    ]
    apart = sum(len(each) for each in asked.values() if any(c["answer"] != each[0]["answer"] for c in each))
    return agreed, {"asked twice": len(captions) - len(agreed) - apart, "answers disagree": apart}


def _boxed(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    chosen = [caption for caption in captions if caption["question"].task is Task.GROUNDING]
    return chosen, {"without boxes": len(captions) - len(chosen)}


_CHOOSE = {
    "cot_sft": _reasoned,
    "sft": _all,
    "dpo": _pairs,
    "grpo": _prompts,
    "labelstudio": _all,
    "coco": _boxed,
}


def _came_in(store: Store) -> dict[int, tuple[str, str]]:
    """Caption -> (reasoning, answer) before anybody corrected it."""
    with store.read() as db:
        rows = db.conn.execute(
            "SELECT caption, reasoning, answer FROM revisions WHERE parent IS NULL"
        ).fetchall()
    return {caption: (reasoning, answer) for caption, reasoning, answer in rows}


def _prompts_of_rejected(store: Store, captions: list[dict]) -> list[dict]:
    """Questions whose caption a person rejected: the reasoning was no good, the data set's answer may be."""
    known = {(caption["picture"], caption["question"]) for caption in captions}
    sql = (
        "SELECT c.id AS caption, h.revision, c.picture, c.question, c.task, c.labels, g.answer,"
        " v.author AS reviewer FROM captions c JOIN heads h ON h.caption = c.id"
        " JOIN given_answers g ON g.caption = c.id JOIN standing_reviews v ON v.id ="
        "  (SELECT max(id) FROM standing_reviews WHERE revision = h.revision AND verdict = 'reject')"
        " WHERE h.state = 'rejected' ORDER BY c.id"
    )
    with store.read() as db:
        rows = list(db.query(sql))
    found = []
    for row in rows:
        ask(row)
        if (row["picture"], row["question"]) not in known:
            known.add((row["picture"], row["question"]))
            found.append({**row, "reasoning": "", "author": "import", "self_reviewed": False})
    return found


def refused(store: Store) -> list[dict]:
    """The texts that people rejected, or replaced by one that was accepted, as their checksums: no row of a
    data set that says one of these about this picture should be learnt any more. In training/corrections.py
    is the other side of this."""
    sql = (
        "SELECT c.picture, c.question, c.task, c.labels, r.reasoning, r.answer FROM revisions r"
        " JOIN captions c ON c.id = r.caption JOIN heads h ON h.caption = c.id"
        " LEFT JOIN accepted a ON a.caption = c.id LEFT JOIN revisions k ON k.id = a.revision"
        " WHERE r.parent IS NULL AND (h.state = 'rejected' OR (a.revision IS NOT NULL"
        "  AND (r.reasoning, r.answer) <> (k.reasoning, k.answer)))"
        " ORDER BY c.id"
    )
    with store.read() as db:
        rows = list(db.query(sql))
    found = []
    for row in rows:
        ask(row)
        told = told_digest(row["question"].text, row["reasoning"], row["answer"])
        found.append({"picture": row["picture"], "text": told})
    return found
