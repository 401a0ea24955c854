"""Rows of other tools and of tables -> what they tell about a picture: a question, a reasoning, an answer.

Argilla's records, nested (`records.json`) or flat (`records.to_datasets()`), and rows with a column for each part are
read here; Label Studio's in annotate/labelstudio.py. What each part is called in a file is said by `Names`, never
guessed. What is wrong with a row is a ValueError with a clause; annotate/imports.py adds the file and the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from annotate.rules import Refused


@dataclass(frozen=True)
class Names:
    """What the columns (fields, controls, questions) of a file are called; "" where it has none.

    `ask` is the question about every picture of a file without questions.
    """

    picture: str = "image"
    question: str = "question"
    reasoning: str = "reasoning"
    answer: str = "answer"
    task: str = "task"
    labels: str = "labels"
    ask: str = ""

    @classmethod
    def typed(cls, text: str, ask: str = "") -> Names:
        """From `picture=img,answer=label` as a person types it. Raises Refused."""
        known = {field.name for field in fields(cls)} - {"ask"}
        names = cls(ask=ask)
        for part in filter(None, (part.strip() for part in text.split(","))):
            what, sign, name = (side.strip() for side in part.partition("="))
            if not sign or what not in known:
                raise Refused(f"Columns are named as WHAT=NAME, where WHAT is {', '.join(sorted(known))}.")
            names = replace(names, **{what: name})
        return names


@dataclass(frozen=True)
class Told:
    """One caption as a foreign row tells it.

    pictures   where the file of the picture may lie in the folder, the likeliest place first
    answer     the answer, or the whole text of a model with its tags where `reasoning` is ""
    task       a Task's value, or None where nothing says it
    ours       boxes in the answer run to 1000, whatever those of the file run to
    """

    pictures: tuple[str, ...]
    question: str
    reasoning: str
    answer: str
    task: str | None = None
    labels: tuple[str, ...] = ()
    ours: bool = False


def told_by(row: Mapping[str, Any], names: Names) -> list[Told]:
    """The captions in one row of any of these layouts; none for a row that nobody has answered yet."""
    from annotate import labelstudio

    if labelstudio.is_task(row):
        return labelstudio.told_by(row, names)
    if isinstance(row.get("fields"), Mapping):
        return _record(row["fields"], _responses(row) or _suggestions(row), names)
    if any(key.endswith((".responses", ".suggestion")) for key in row):
        bare = {key: value for key, value in row.items() if "." not in key}
        return _record(bare, _flat(row), names)
    return [plain(row, names)]


def plain(row: Mapping[str, Any], names: Names) -> Told:
    """The caption in a row that has a column for each part. ValueError for a part that is missing."""
    answer = words(row.get(names.answer), names.answer)
    if not answer:
        raise ValueError(
            f"it holds neither conversations nor an answer under {names.answer!r}: say --columns answer=NAME"
        )
    return Told(
        (picture_in(row, names),),
        question_in(row, names),
        words(row.get(names.reasoning), names.reasoning),
        answer,
        words(row.get(names.task), names.task) or None,
        labels_in(row, names),
    )


def picture_in(row: Mapping[str, Any], names: Names) -> str:
    """The name of the picture's file."""
    name = row.get(names.picture)
    if not isinstance(name, str) or not name:
        raise ValueError(f"it holds no picture under {names.picture!r}: say --columns picture=NAME")
    return name


def question_in(row: Mapping[str, Any], names: Names) -> str:
    """The question of the row, or the one for all rows."""
    asked = words(row.get(names.question), names.question) or names.ask
    if not asked:
        raise ValueError(
            f"it holds no question under {names.question!r}: say --columns question=NAME, or --question TEXT"
        )
    return asked


def labels_in(row: Mapping[str, Any], names: Names) -> tuple[str, ...]:
    """The closed set of answers that the row names; () for none."""
    labels = row.get(names.labels) or ()
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise ValueError(
            "its labels must be a list of texts: say --columns labels= if they are something else"
        )
    return tuple(labels)


def words(value: Any, name: str) -> str:
    """A text, a number or a list of them as one text; "" for None."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "\n".join(words(each, name) for each in value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"its {name!r:.60} is no text")
    return str(value).strip()


# --- Argilla --------------------------------------------------------------------------------------------


def _record(given: Mapping, answered: list[dict], names: Names) -> list[Told]:
    """A caption for each person who answered; with nobody's answer, the one in the fields, if there is any."""
    rows = [
        {**given, **{key: value for key, value in each.items() if value is not None}} for each in answered
    ]
    rows = [row for row in rows or [dict(given)] if row.get(names.answer) not in (None, "", [])]
    return [plain(row, names) for row in rows]


def _responses(row: Mapping) -> list[dict]:
    """What each person answered: {question name: value}."""
    people: dict[str, dict] = {}
    for name, responses in _mapping(row, "responses").items():
        for response in responses if isinstance(responses, list) else [responses]:
            if not isinstance(response, Mapping) or "value" not in response:
                raise ValueError(f"its responses to {name!r:.60} are not Argilla's")
            # An export by the Python client leaves the status away; where it stands, it counts.
            if response.get("status") not in ("draft", "discarded"):
                people.setdefault(str(response.get("user_id")), {})[name] = response["value"]
    return list(people.values())


def _suggestions(row: Mapping) -> list[dict]:
    found = {}
    for name, suggestion in _mapping(row, "suggestions").items():
        if not isinstance(suggestion, Mapping) or "value" not in suggestion:
            raise ValueError(f"its suggestion for {name!r:.60} is not Argilla's")
        found[name] = suggestion["value"]
    return [found] if found else []


def _mapping(row: Mapping, key: str) -> Mapping:
    value = row.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(f"its {key} are not Argilla's: an object with a key for each question")
    return value


def _flat(row: Mapping) -> list[dict]:
    """The same of a flat record: `answer.responses`, `answer.responses.users`, `answer.suggestion`."""
    people: dict[str, dict] = {}
    for key, values in row.items():
        if not key.endswith(".responses") or values is None:
            continue
        users, states = (row.get(f"{key}.{more}") or [] for more in ("users", "status"))
        for at, value in enumerate(values):
            if at >= len(states) or states[at] not in ("draft", "discarded"):
                user = users[at] if at < len(users) else at
                people.setdefault(str(user), {})[key.removesuffix(".responses")] = value
    suggested = {
        key.removesuffix(".suggestion"): value
        for key, value in row.items()
        if key.endswith(".suggestion") and value is not None
    }
    return list(people.values()) or ([suggested] if suggested else [])
