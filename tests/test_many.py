"""tinyrs/many.py and the Ask many tab: many pictures, many questions, one table and one file."""

from __future__ import annotations

import csv
import json
import threading
import zipfile
from pathlib import Path

import pytest

from tests.fake import FakeEngine
from tests.pages import (
    SHORT,
    THOUGHT,
    Hands,
    engines,
    harbour,
    page,
    picture_bytes,
    picture_file,
)
from tinyrs.engine import EngineFailure, open_engine
from tinyrs.example import Question
from tinyrs.image import BadImage
from tinyrs.many import LARGEST, MOST, Asked, Source, TooMuch, as_csv, ask, sources


def zipped(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def run(hands: Hands, files, text: str, models=("quick", "thinker")) -> list[dict]:
    event = hands.event("ask_many")
    files = files and [str(file) for file in files]
    asking = event.fn(files, text, list(models), hands.shown, hands.request)
    return [hands.read("ask_many", update) for update in asking]


def lines(seen: dict) -> list[dict]:
    return [json.loads(line) for line in Path(seen["many-download"]["value"]).read_text().splitlines()]


# Pictures out of files and zips


def test_files_and_the_pictures_of_a_zip_come_in_order_and_the_rest_of_it_is_passed_over(tmp_path):
    data = picture_bytes()
    packed = zipped(
        tmp_path / "all.zip",
        **{"a/one.png": data, "notes.txt": b"x", "__MACOSX/a/._one.png": data, ".hidden.png": data, "two.PNG": data, "d/": b""},
    )  # fmt: skip
    found = sources([picture_file(tmp_path), packed])
    assert [source.name for source in found] == ["harbour.png", "one.png", "two.PNG"]
    assert all(source.open().image.size == harbour().size for source in found)
    assert not list(tmp_path.glob("**/one.png")), "nothing of a zip is written to the disk"


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png"])
def test_a_name_in_a_zip_is_only_a_name(tmp_path, name):
    (source,) = sources([zipped(tmp_path / "a.zip", **{name: picture_bytes()})])
    assert source.open().image.size == harbour().size and "/" not in source.name


def test_what_is_no_zip_holds_nothing_or_holds_too_much_is_told_in_one_sentence(tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and nothing more")
    many = zipped(tmp_path / "many.zip", **{f"{i}.png": b"" for i in range(MOST + 1)})
    for paths, said in (
        ([broken], "not a zip file"),
        ([zipped(tmp_path / "e.zip")], "no picture"),
        ([], "no picture"),
        ([many], "At most"),
    ):
        with pytest.raises(TooMuch, match=said):
            sources(paths)


def test_an_entry_that_unpacks_to_more_than_an_upload_may_be_is_refused_while_it_is_read(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TINYRS_MAX_BYTES", str(2**20))
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", b"\0" * (64 * 2**20))
    assert path.stat().st_size < 2**18
    with pytest.raises(BadImage, match="larger than 1 MiB"):
        Source(path, "bomb.png").open()


# Asking in groups


def put(tmp_path, texts: list[str], largest: int = LARGEST, **engines) -> list[list[Asked]]:
    questions = [Question(text) for text in texts]
    models = {side: engine.spec.name for side, engine in engines.items()}
    shown = [Source(picture_file(tmp_path))]
    return list(ask(shown, questions, engines, models, threading.Event(), largest=largest))


def test_groups_grow_while_the_models_are_quick_and_every_row_keeps_its_place(tmp_path):
    texts = [f"Question {i}?" for i in range(60)]
    groups = put(tmp_path, texts, A=FakeEngine(*(f"answer {i}" for i in range(60))), B=FakeEngine(*"x" * 60))
    assert [len(group) for group in groups] == [1, 2, 4, 8, LARGEST, LARGEST, 13]
    rows = [row for group in groups for row in group]
    assert [row.said("A") for row in rows] == [f"answer {i}" for i in range(60)]
    assert [row.as_json()["asked_together"] for row in rows[:4]] == [1, 2, 2, 4]


def test_groups_grow_no_larger_than_told(tmp_path):
    for largest, sizes in ((1, [1] * 7), (3, [1, 2, 3, 1])):
        groups = put(tmp_path, [f"Question {i}?" for i in range(7)], largest, A=FakeEngine(*"abcdefg"))
        assert [len(group) for group in groups] == sizes
        assert [row.said("A") for group in groups for row in group] == list("abcdefg")


def test_groups_stay_small_while_a_model_is_slow(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tinyrs.many.time.monotonic", lambda: now[0])
    slow = [[lambda: now.__setitem__(0, now[0] + 2.0), "yes"] for _ in range(6)]
    groups = put(tmp_path, [f"Question {i}?" for i in range(6)], A=FakeEngine("a", *slow[1:]))
    assert [len(group) for group in groups] == [1, 2, 1, 1, 1]


def test_what_fails_in_a_group_fails_alone(tmp_path):
    class OneBad(FakeEngine):
        def batch(self, pairs, options=None):
            if any("bad" in question.text for _, question in pairs):
                raise EngineFailure("One of them is too much.")
            return super().batch(pairs)

    broken = ["half an ", EngineFailure("The model ran out of memory.")]
    groups = put(
        tmp_path, ["one?", "bad?", "three?"], A=OneBad("1", broken, "3"), B=FakeEngine("a", "b", "c")
    )
    rows = [row for group in groups for row in group]
    assert [row.said("A") for row in rows] == ["1", "The model ran out of memory.", "3"]
    assert rows[1].as_json()["answers"]["A"]["raw"] == "half an "
    assert [row.said("B") for row in rows] == ["a", "b", "c"]


def test_an_engine_that_cannot_be_opened_leaves_the_other_sides_answers(tmp_path):
    rows = put(tmp_path, ["one?", "two?"], A=FakeEngine("1", "2"), B=_Closed(spec=FakeEngine().spec))
    assert [(row.said("A"), row.said("B")) for group in rows for row in group] == [
        ("1", "It is not here."), ("2", "It is not here."),
    ]  # fmt: skip


class _Closed(FakeEngine):
    def stream(self, *_):
        raise EngineFailure("It is not here.")


def test_the_pocket_models_answer_in_groups_what_they_answer_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tinyrs.many.QUICK", float("inf"))  # groups grow on a busy machine, too
    engine = open_engine("pocket-r1")
    texts = [
        "Is there a road?",
        "Describe the picture.",
        "Is there a water area?",
        "How many ships are there?",
    ]
    rows = [row for group in put(tmp_path, texts, A=engine) for row in group]
    assert [row.together for row in rows] == [1, 2, 2, 1]
    alone = [list(engine.stream(harbour(), Question(text)))[-1].text for text in texts]
    assert [row.shown.answers["A"].raw for row in rows] == alone


def test_the_table_for_spreadsheets_has_a_line_an_answer_and_no_formula(tmp_path):
    rows = [
        row
        for group in put(tmp_path, ["=1+1?"], A=FakeEngine("=cmd()"), B=FakeEngine("port, ship"))
        for row in group
    ]
    read = list(
        csv.DictReader(
            as_csv(
                rows + [Asked("bad.png", Question("What?"), error="Broken.")], {"A": "a", "B": "b"}
            ).splitlines()
        )
    )
    assert [(row["picture"], row["question"], row["side"], row["answer"], row["error"]) for row in read] == [
        ("harbour.png", "'=1+1?", "A", "'=cmd()", ""), ("harbour.png", "'=1+1?", "B", "port, ship", ""),
        ("bad.png", "What?", "A", "", "Broken."), ("bad.png", "What?", "B", "", "Broken."),
    ]  # fmt: skip


# On the page


def test_the_pictures_of_a_folder_are_taken_and_the_rest_is_passed_over(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    hands, png = Hands(page()), str(picture_file(tmp_path))
    assert hands.call_plain("many_folder", [png, str(tmp_path / "notes.txt")])["many-files"] == [png]
    assert "no picture" in hands.call_plain("many_folder", [str(tmp_path / "notes.txt")])["many-progress"]


def test_every_question_about_every_picture_is_answered_shown_and_downloaded(tmp_path):
    hands = Hands(page(engines(a=(SHORT,) * 4, b=(THOUGHT,) * 4)))
    files = [picture_file(tmp_path), picture_file(tmp_path, "second.png")]
    seen = run(hands, files, "Find the ship.\n\n  Is it long?  ")
    assert [update["many-progress"].split("</progress>")[1] for update in seen] == [
        " Asked: 0 of 4.</p>", " Asked: 1 of 4.</p>", " Asked: 3 of 4.</p>", " Asked: 4 of 4.</p>", " Done: 4 of 4.</p>",
    ]  # fmt: skip
    last = {key: value for update in seen for key, value in update.items()}
    assert last["many-table"]["headers"] == ["Picture", "Question", "A: quick", "B: thinker"]
    assert [row[:2] for row in last["many-table"]["value"]] == [
        ["harbour.png", "Find the ship."], ["harbour.png", "Is it long?"],
        ["second.png", "Find the ship."], ["second.png", "Is it long?"],
    ]  # fmt: skip
    assert (
        last["many-ask"]["visible"]
        and not last["many-stop"]["visible"]
        and "Done: 4 of 4" in last["many-progress"]
    )
    written = lines(last)
    assert len(written) == 4 and written[0]["answers"]["B"]["boxes"] == [[140, 320, 400, 600]]
    assert written[3]["picture"]["name"] == "second.png" and written[3]["question"]["text"] == "Is it long?"
    sheet = Path(last["many-csv"]["value"]).read_text(encoding="utf-8-sig")
    assert [line.split(",")[3] for line in sheet.splitlines()[1:] if line.startswith(("har", "sec"))] == [
        "A",
        "B",
    ] * 4
    stats = hands.demo.page.store.stats()
    assert stats["runs"] == 0 and stats["pictures"] == 0 and not hands.demo.page.busy("one many")


def test_a_picture_that_cannot_be_read_has_its_sentence_in_the_table_and_the_others_go_on(tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("<svg onload=alert(1)>")
    hands = Hands(page(engines(a=("port",), b=(THOUGHT,))))
    last = run(hands, [bad, picture_file(tmp_path)], "What is it?")[-1]
    first, second = lines(last)
    assert "answers" not in first and first["error"] and second["answers"]["A"]["answer"] == "port"


def test_without_files_the_picture_of_the_compare_tab_is_asked_about(tmp_path):
    hands = Hands(page(engines(a=("port", "yes"))))
    assert "Choose pictures first" in run(hands, None, "What?")[-1]["many-progress"]
    hands.upload(picture_file(tmp_path))
    last = run(hands, None, "What is it?\nIs it?", ["quick"])[-1]
    assert [line["answers"]["A"]["answer"] for line in lines(last)] == ["port", "yes"]
    assert all(list(line["answers"]) == ["A"] for line in lines(last))


def test_stop_keeps_what_was_answered_and_the_next_go_works(tmp_path):
    never = threading.Event()
    stuck = [lambda: hands.call("stop_many"), never]
    hands = Hands(page(engines(a=("port", stuck, "yes"))))
    asking = hands.event("ask_many").fn(
        [str(picture_file(tmp_path))], "What?\nWhere?\nWhy?", ["quick"], None, hands.request
    )
    seen = [hands.read("ask_many", update) for update in asking]
    assert "Stopped: 1 of 3" in seen[-1]["many-progress"] and len(lines(seen[-1])) == 1
    assert not hands.demo.page.busy("one many")
    assert "Done: 1 of 1" in run(hands, [tmp_path / "harbour.png"], "Why?", ["quick"])[-1]["many-progress"]
    never.set()


@pytest.mark.parametrize(
    ("text", "models", "said"),
    [
        ("  \n ", ["quick"], "at least one question"),
        ("What?", [], "one model or two"),
        ("What?", ["quick", "thinker", "quick"], "one model or two"),
        ("What?", ["/etc/passwd"], "not on offer"),
        ("x" * 4001, ["quick"], "4,001 characters"),
        ("What?\n" * (MOST + 1), ["quick"], "at most 200"),
    ],
)
def test_what_cannot_be_asked_gets_one_sentence_and_no_model_is_asked(tmp_path, text, models, said):
    made = engines()
    hands = Hands(page(made))
    seen = run(hands, [picture_file(tmp_path)], text, models)
    assert said in seen[-1]["many-progress"] and seen[-1]["many-ask"]["visible"]
    assert not made["quick"].asked and not hands.demo.page.busy("one many")
