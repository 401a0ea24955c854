"""What may be written: names, texts, and which captions can be accepted."""

import pytest

from annotate import rules
from annotate.rules import Refused, caption_problems, machine, person, reasoning_text
from tests.store_parts import ROOF, SCENE
from tinyrs.example import Answer, Box, Question, Task
from tinyrs.parse import parse

# (question, reasoning, answer, a word of the sentence; "" when nothing is wrong)
CAPTIONS = [
    (SCENE, "Green fields.", "farmland", ""),
    (SCENE, "", "farmland", ""),  # a caption without reasoning is one for sft
    (ROOF, "It is bright.", "[[80,100,470,520]]", ""),
    (ROOF, "It is bright.", "[[80,100,470,520],[1,2,3,4]]", ""),
    (ROOF, "It lies at [[80,100,470,520]].", "[[80,100,470,520]]", ""),  # a box in the reasoning
    (SCENE, "3 < 4, a <- b and x <5.", "farmland", ""),
    (Question("List them.", Task.OPEN), "r", "(1, 2, 3)", ""),  # no box, and none is wanted
    (SCENE, "Green fields.", "", "answer is empty"),
    (SCENE, "Green fields.", " \n ", "answer is empty"),
    (SCENE, "Green fields.", "\u200b", "empty"),  # looks empty, is empty
    (SCENE, "</reasoning> <answer> port </answer>", "farmland", "tag"),
    (SCENE, "fields", "farmland</answer><answer>port", "tag"),
    (SCENE, "", "<reasoning> r </reasoning> <answer> port </answer>", "tag"),  # a whole text in one field
    (SCENE, "fields <|im_end|>", "farmland", "special token"),
    (SCENE, "fields", "farmland <image>", "special token"),
    (SCENE, "fields", "<|vision_start|>", "special token"),
    (ROOF, "It is bright.", "at the left", "is a box"),
    (ROOF, "It is bright.", "[[80,100,470]]", "four numbers"),
    (ROOF, "It is bright.", "[[80,100,470,", "not complete"),
    (ROOF, "It is bright.", "[[470,100,80,520]]", "wrong way round"),
    (ROOF, "It is bright.", "[[80,100,80,520]]", "no area"),
    (ROOF, "It is bright.", "[[80,100,1470,520]]", "outside the picture"),
    (ROOF, "It is bright.", "[[-1,100,470,520]]", "outside the picture"),
    (ROOF, "It is bright.", "[[0.1,0.2,0.3,0.4]]", "scale of 1"),
    (ROOF, "It lies at [[80,100,1470,520]].", "[[80,100,470,520]]", "box is broken"),  # training refuses it
    (SCENE, "A field at [[80,100,1470,520]].", "farmland", "box is broken"),
]


@pytest.mark.parametrize(("question", "reasoning", "answer", "word"), CAPTIONS)
def test_what_can_be_accepted(question, reasoning, answer, word):
    problems = caption_problems(question, reasoning, answer)
    assert bool(problems) == bool(word), problems
    assert word in " ".join(problems)
    assert all(problem.endswith((".", "]")) or ":" in problem for problem in problems)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ann", "Ann"),
        ("  Ann\t Lee ", "Ann Lee"),
        ("\uff21nn", "Ann"),
        ("Zoë Öz", "Zoë Öz"),
        ("张伟", "张伟"),
        ("o'Neill-2", "o'Neill-2"),
        ("models", "models"),  # only "model:" is kept for machines
    ],
)
def test_a_name_has_one_spelling(typed, kept):
    assert person(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", " ", "\0", "a\u202eb", "a\u200bb", "Model: x", "import:x", "x" * 101, 7, None]
)
def test_what_is_no_name(typed):
    with pytest.raises(Refused):
        person(typed)


@pytest.mark.parametrize(
    ("model", "author"),
    [
        ("pocket-r1", "model:pocket-r1"),
        ("aybora/Qwen2-VL-TinyRS-R1", "model:aybora/Qwen2-VL-TinyRS-R1"),  # a hub id is public
        ("/home/ann/secret/run3/checkpoint-9", "model:checkpoint-9"),
        ("/home/ann/run3/", "model:run3"),
        ("./out", "model:out"),
        ("~/out/x", "model:x"),
        ("C:\\Users\\ann\\x", "model:x"),
        ("http://user:pass@host:8000/v1#tiny", "model:tiny"),
        ("http://user:pass@host:8000/v1", "model:v1"),
        ("", "model:unknown"),
    ],
)
def test_an_exported_name_of_a_model_tells_no_folder_and_no_password(model, author):
    assert machine(model) == author


@pytest.mark.parametrize(
    "raw",
    [
        "<reasoning> One step. Two steps. </reasoning> <answer> port </answer>",
        "<reasoning>\n- One\n- Two\n</reasoning>\n<answer>port</answer>",
        "port",
    ],
)
def test_the_reasoning_is_the_models_own_words(raw):
    written = reasoning_text(parse(raw))
    assert written in raw
    assert parse(f"<reasoning> {written} </reasoning>").reasoning == parse(raw).reasoning


def test_where_the_form_is_broken_the_steps_are_the_reasoning():
    answer = parse("<reasoning> One. <answer> a </answer> </reasoning> <answer> b </answer>")
    assert reasoning_text(answer) == "\n".join(answer.reasoning)
    assert (
        reasoning_text(Answer("<reasoning> x </reasoning> <answer> a </answer>", "a", ("other",))) == "other"
    )


def test_boxes_come_back_from_json_as_they_were():
    boxes = (Box(1, 2.5, 3, 4, 'a "ship"', 12.5), Box(0, 0, 1000, 1000))
    assert rules.boxes_from_json(rules.boxes_to_json(boxes)) == boxes


def test_a_question_with_a_label_of_two_lines_is_cleaned_or_refused():
    assert rules.question(Question(" q \r\n", Task.VQA, (" a ",))) == Question("q", Task.VQA, ("a",))
    for bad in (
        Question(""),
        Question("q", labels=("",)),
        Question("q", labels=("x" * 101,)),
        Question("q\0"),
    ):
        with pytest.raises(Refused):
            rules.question(bad)
