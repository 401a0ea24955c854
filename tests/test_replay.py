"""Flagged questions, asked again: what counts as right, fixed, broken, and what a stopped replay goes on with."""

import json

import pytest

from annotate import replay as module
from annotate.__main__ import main
from annotate.replay import flagged, replay, told
from annotate.rules import Refused
from annotate.store import NewCaption, Store
from tests.fake import FakeEngine
from tests.store_parts import ROOF, SCENE, add_picture, add_run, head
from tinyrs.engine import EngineFailure
from tinyrs.example import Question, Task

OPEN = Question("Describe the picture.", Task.CAPTIONING)


def reasoned(answer, reasoning="I look."):
    return f"<reasoning> {reasoning} </reasoning> <answer> {answer} </answer>"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "tinyrs.db") as opened:
        yield opened


def flag(store, before, truth="", question=SCENE, shade=0, side="B"):
    """A question that was answered with `before` and flagged, and corrected to `truth` where that is known."""
    run = add_run(store, question, add_picture(store, shade), **{side: before})
    store.add_flag(run, side, ["answer wrong"], author=f"visitor {shade}")
    if truth:
        caption = store.run(run)["flags"][-1]["caption"]
        better = store.save_correction(
            head(store, caption), reasoning="I look again.", answer=truth, author="Ann"
        )
        store.add_review(better, "accept", author="Bob")
    return run


@pytest.fixture
def opens(monkeypatch):
    """opens(output, ...) -> a fake model that `replay` opens, whatever it asks for."""

    def put(*outputs, **declared):
        made = FakeEngine(*outputs, **{"thinking": True, **declared})
        monkeypatch.setattr(module, "open_engine", lambda name: made)
        return made

    return put


def verdicts(result):
    return [row["verdict"] for row in result["rows"]]


def test_each_verdict_and_its_count(store, opens):
    flag(store, reasoned("port"), "farmland", shade=1)
    flag(store, reasoned("port"), "farmland", shade=2)
    flag(store, reasoned("farmland"), "farmland", shade=3)
    flag(store, reasoned("farmland"), "farmland", shade=4)
    flag(store, reasoned("port"), shade=5)  # nobody accepted anything
    flag(store, "Green fields.", "Fields and a road.", OPEN, shade=6)
    opens(*(reasoned(answer) for answer in ("farmland", "port", "port", "Farmland.", "farmland", "A port.")))
    result = replay(store, "next")
    assert verdicts(result) == [
        "fixed", "still wrong", "newly broken", "still right", "not judged", "not judged"
    ]  # fmt: skip
    assert (result["n"], result["fixed"], result["newly_broken"], result["not_judged"]) == (6, 1, 1, 2)
    said = told(result)
    assert "next: 6 flagged questions, 4 with a known truth." in said
    assert "fixed          1 of n = 2 that was wrong (50%, " in said
    assert "newly broken   1 of n = 2 that was right" in said


@pytest.mark.parametrize(
    ("question", "truth", "now", "verdict"),
    [
        (ROOF, "[[80,100,470,520]]", reasoned("[[90,110,480,530]]"), "fixed"),
        (ROOF, "[[80,100,470,520]]", reasoned("[[600,600,900,900]]"), "still wrong"),
        (ROOF, "[[80,100,470,520]]", "nothing at all", "still wrong"),
        # The right answer in the wrong form, or at odds with its own reasoning, is not fixed.
        (SCENE, "farmland", "<reasoning> I look. <answer> farmland", "still wrong"),
        (SCENE, "farmland", reasoned("farmland", "So the class is port."), "still wrong"),
        (SCENE, "farmland", reasoned("farmland", "So the class is farmland."), "fixed"),
        (SCENE, "farmland", "", "still wrong"),
    ],
)
def test_what_is_right(store, opens, question, truth, now, verdict):
    flag(store, reasoned("[[1,1,2,2]]" if question is ROOF else "port"), truth, question)
    opens(now)
    assert verdicts(replay(store, "next")) == [verdict]


def test_boxes_are_read_on_the_models_own_scale(store, opens):
    flag(store, reasoned("[[1,1,2,2]]"), "[[80,100,470,520]]", ROOF)
    opens(reasoned("[[8,10,47,52]]"), box_scale=100)
    assert verdicts(replay(store, "next")) == ["fixed"]


def test_a_question_that_both_sides_got_flagged_for_is_asked_once(store, opens):
    run = add_run(store, SCENE, A="port", B=reasoned("farmland"))
    for side in "AB":
        store.add_flag(run, side, ["answer wrong"], author="visitor")
        store.add_flag(run, side, ["format"], author="another")
    caption = store.run(run)["flags"][0]["caption"]
    better = store.save_correction(head(store, caption), reasoning="So.", answer="farmland", author="Ann")
    store.add_review(better, "accept", author="Bob")
    fake = opens(reasoned("farmland"))
    result = replay(store, "next")
    # One of the two answers was wrong, and that side's correction is the truth for both.
    assert verdicts(result) == ["fixed"] and len(fake.asked) == 1
    assert result["rows"][0]["before"] == ["port", "farmland"]


def test_the_truth_is_what_was_accepted_else_what_the_data_set_says_and_none_where_people_disagree(store):
    picture = add_picture(store, 0)
    flag(store, reasoned("port"))
    (question,) = flagged(store)
    assert question.truth == ""
    # Imported with the very words that were flagged: the data set's own answer is known.
    new = NewCaption(picture, SCENE, "Fields.", "farmland", "import:x", given="farmland")
    store.add_captions([new])
    store.add_review(head(store, 2), "accept", author="Bob")
    assert flagged(store)[0].truth == "farmland"
    other = NewCaption(picture, SCENE, "Ships.", "port", "import:y")
    store.add_captions([other])
    store.add_review(head(store, 3), "accept", author="Bob")
    assert flagged(store)[0].truth == ""


def test_a_replay_that_stopped_asks_only_what_is_left_and_then_nothing(store, opens, tmp_path):
    for shade in range(5):
        flag(store, reasoned("port"), "farmland", shade=shade)
    answer = reasoned("farmland")
    fake = opens(answer, answer, [EngineFailure("The model fell over.")])
    with pytest.raises(Refused, match="fell over. The same command goes on"):
        replay(store, "next", batch=1)
    assert len(fake.asked) == 3
    fake = opens(answer, answer, answer)
    assert replay(store, "next", batch=2)["fixed"] == 5 and len(fake.asked) == 3
    fake = opens()
    assert replay(store, "next")["fixed"] == 5 and not fake.asked
    # A question that was flagged since is asked, the others are not.
    flag(store, reasoned("port"), "farmland", shade=9)
    fake = opens(answer)
    assert replay(store, "next")["fixed"] == 6 and len(fake.asked) == 1


def test_another_model_does_not_inherit_the_answers(store, opens, tmp_path):
    flag(store, reasoned("port"), "farmland")
    opens(reasoned("farmland"))
    assert replay(store, "next", tmp_path / "own.jsonl")["fixed"] == 1
    fake = opens(reasoned("port"), source="elsewhere")
    assert replay(store, "next")["still_wrong"] == 1 and len(fake.asked) == 1
    with pytest.raises(Refused, match="choose another --out"):
        replay(store, "next", tmp_path / "own.jsonl")


def test_weights_make_the_model(store, checkpoint):
    from tinyrs.models import resolve

    before = module.head(resolve(str(checkpoint)))
    path = checkpoint / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert module.head(resolve(str(checkpoint))) != before


def test_the_command_asks_a_real_checkpoint_with_a_progress_bar(store, untrained, capsys):
    flag(store, reasoned("port"), "farmland")
    args = ["replay", "--db", str(store.path), "--model", str(untrained)]
    assert main(args) == 0
    said = capsys.readouterr()
    assert "1 flagged questions, 1 with a known truth." in said.out and "1/1" in said.err
    assert main([*args, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 1 and result["rows"][0]["truth"] == "farmland"


@pytest.mark.parametrize("model", ["no-such-model", "nowhere/at/all"])
def test_what_is_wrong_is_one_sentence(store, capsys, model):
    args = ["replay", "--db", str(store.path), "--model", model]
    assert main(args) == 2
    assert "No question has been flagged" in capsys.readouterr().err
    flag(store, reasoned("port"), "farmland")
    assert main(args) == 2
    said = capsys.readouterr()
    assert not said.out and len(said.err.strip().splitlines()) == 1
