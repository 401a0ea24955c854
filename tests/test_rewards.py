"""What an answer earns: tables of answers, a comment for each, and None as a whole where nobody can say."""

import math

import pytest

from tests.loopback import loopback
from tests.test_judge import by_answer, judge, refuses
from tests.test_metrics import NOTATIONS, write
from tinyrs.example import Box, Example, Question, Task
from tinyrs.metrics import iou, score
from tinyrs.parse import parse
from tinyrs.prompt import dialect_of
from training.rewards import Reward, needs_judge, shape, task_reward

BOX = Box(100, 200, 500, 600)


def example(task, answer, labels=(), boxes=(), text="What is it?"):
    from pathlib import Path

    return Example(Path("x.png"), Question(text, task, labels), answer, boxes)


GROUND = example(Task.GROUNDING, "[[100,200,500,600]]", boxes=(BOX,))
SCENE = example(Task.CLASSIFICATION, "farmland", ("farmland", "dense residential", "port", "airport"))
YES = example(Task.VQA, "yes", ("yes", "no"))
COUNT = example(Task.COUNTING, "15")
LIST = example(Task.VQA, "road, river")
CHOICE = example(Task.OPEN, "B", ("A", "B", "C"))
TELL = example(Task.CAPTIONING, "Seven ships in a harbour.")


def thought(answer, reasoning="I see it."):
    return f"<reasoning> {reasoning} </reasoning> <answer> {answer} </answer>"


# (example, what stands between the answer tags, task reward)
TASKS = [
    (GROUND, "[[100,200,500,600]]", 1.0),
    (GROUND, "[100, 200, 500, 600]", 1.0),  # other notations of the same box
    (GROUND, "(100,200),(500,600)", 1.0),
    (GROUND, "[[100.0,200.0,500.0,600.0]]", 1.0),  # floats are not cut in two
    (GROUND, "The bridge is at [[100,200,500,600]].", 1.0),
    (GROUND, "[[100,200,500,400]]", 0.5),  # half of it
    (GROUND, "[[600,700,900,900]]", 0.0),  # elsewhere: the released reward gave 1.0
    (GROUND, "[[101,201,1000,1000]]", "iou"),  # too large
    (GROUND, "[[500,600,100,200]]", 0.0),  # wrong way round
    (GROUND, "[[-100,-200,-500,-600]]", 0.0),  # signs are read
    (GROUND, "[[0.1,0.2,0.5,0.6]]", "low"),  # on another scale
    (GROUND, "[[100,200,500,600],[100,200,500,600]]", 0.5),  # said twice: one has no partner
    (GROUND, "[[100,200,500,600],[0,0,1000,1000]]", 0.5),  # hedging
    (GROUND, "[[100,200,500,600],[nan,0,1,1]]", 0.5),  # hedging with what is no box
    (GROUND, "[[nan,nan,nan,nan]]", 0.0),
    (GROUND, "[[1e999,0,5,5]]", 0.0),
    (GROUND, "[[100,200,500]]", 0.0),  # three numbers
    (GROUND, "100 200 500 600", 0.0),  # no box
    (GROUND, "", 0.0),
    (GROUND, "yes", 0.0),
    (SCENE, "farmland", 1.0),
    (SCENE, "Farmland.", 1.0),  # case and a dot do not count
    (SCENE, "a farmland", 1.0),
    (SCENE, "port", 0.0),
    (SCENE, "farm", 0.0),  # part of the label: the released evaluation took it
    (SCENE, "", 0.0),  # and this
    (SCENE, ".", 0.0),
    (SCENE, "farmland, port", 0.0),  # both
    (SCENE, "farmland or port", 0.0),
    (SCENE, "farmland</answer><answer>port", 0.0),  # two answers
    (example(Task.CLASSIFICATION, "port", SCENE.question.labels), "airport", 0.0),  # "port" is in it
    (YES, "yes", 1.0),
    (YES, "Yes", 1.0),
    (YES, "no", 0.0),
    (YES, "yes and no", 0.0),
    (YES, "y", 0.0),
    (COUNT, "15", 1.0),
    (COUNT, "fifteen", 1.0),
    (COUNT, "1.5", 0.0),  # the released reward dropped dots
    (COUNT, "15.0", 1.0),
    (COUNT, "-15", 0.0),
    (COUNT, "5", 0.0),
    (COUNT, "150", 0.0),
    (COUNT, "1 5", 0.0),
    (LIST, "road, river", 1.0),
    (LIST, "river, road", 1.0),  # a list has no order
    (LIST, "river and road", 1.0),
    (LIST, "road", 0.0),
    (LIST, "road, road, river", 0.0),
    (CHOICE, "B", 1.0),
    (CHOICE, "(b)", 1.0),
    (CHOICE, "A or B", 0.0),
    (TELL, "Seven ships in a harbour.", None),  # nobody but a judge can say
]


@pytest.mark.parametrize(("truth", "said", "earned"), TASKS)
def test_task_reward(truth, said, earned):
    answer = parse(thought(said), thinking=True)
    got = task_reward(truth, answer)
    if earned == "iou":
        earned = pytest.approx(iou(Box(101, 201, 1000, 1000), BOX))
    elif earned == "low":
        assert got < 0.1
        return
    assert got == (pytest.approx(earned) if earned is not None else None)


@pytest.mark.parametrize(("truth", "said"), [row[:2] for row in TASKS])
def test_the_reward_is_the_evaluators_own_score(truth, said):
    answer = parse(thought(said), thinking=True)
    judged = score(truth, answer)
    assert task_reward(truth, answer) == (judged.value if judged.iou is None else judged.iou)


def test_without_the_answer_tag_nothing_is_graded():
    for text in ("farmland", "<reasoning> farmland </reasoning>", "<reasoning> r </reasoning> farmland"):
        assert task_reward(SCENE, parse(text, thinking=True)) == 0.0


# (text, format reward): the released code paid 1.0 for all but the first four of the zeros
FORMS = [
    ("<reasoning> r </reasoning> <answer> a </answer>", 1),
    ("<reasoning>r</reasoning><answer>a</answer>", 1),  # the system prompt writes it so
    ("\n<reasoning>\nr\n</reasoning>\n<answer>\na\n</answer>\n", 1),
    ("<reasoning> 3 < 4 </reasoning> <answer> a </answer>", 1),  # a sign is no tag
    ("<reasoning> r </reasoning> <answer> a </answer><|im_end|>", 1),  # the end token is no text
    ("<reasoning> r </reasoning> <answer> [[9,9,9,9]] </answer>", 1),  # wrong, and in form
    ("", 0),
    ("a", 0),
    ("<answer> a </answer>", 0),  # no reasoning
    ("<reasoning> r </reasoning>", 0),  # no answer
    ("<reasoning></reasoning><answer></answer>", 0),  # empty tags
    ("<reasoning> r </reasoning> <answer> \u200b </answer>", 0),  # looks empty, is empty
    ("<reasoning> \n </reasoning> <answer> a </answer>", 0),
    ("<reasoning> r </reasoning> <answer> a </answer> more", 0),  # trailing text
    ("so <reasoning> r </reasoning> <answer> a </answer>", 0),  # leading text
    ("<reasoning> r </reasoning> so <answer> a </answer>", 0),  # text between
    ("<reasoning> r <answer> x </answer> </reasoning> <answer> a </answer>", 0),  # nested tags
    ("<reasoning> r </reasoning> <answer> a </answer> <answer> b </answer>", 0),  # two answers
    ("<reasoning> r </reasoning> <reasoning> s </reasoning> <answer> a </answer>", 0),
    ("<answer> a </answer> <reasoning> r </reasoning>", 0),  # the wrong order
    ("<reasoning> r </reasoning> <answer> a", 0),  # cut off
    ("<reasoning> r <answer> a </answer>", 0),
    ("<think> r </think> <answer> a </answer>", 0),  # another house's tag
    ("<REASONING> r </REASONING> <ANSWER> a </ANSWER>", 0),
]


@pytest.mark.parametrize(("text", "earned"), FORMS)
def test_format_reward(text, earned):
    reward = Reward(2)
    reward(*call([SCENE] * 2, [text, text]))
    assert [row["format"] for row in reward.table] == [earned, earned]


def test_without_thinking_the_form_is_an_answer_without_tags():
    reward = Reward(3, thinking=False)
    assert reward(*call([SCENE] * 3, ["farmland", thought("farmland"), ""])) == [2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("variant", "right", "table"),
    [
        ("continuous", 0.5, {0: 0, 0.25: 0.25, 0.5: 0.5, 1: 1}),
        ("binary", 0.5, {0: 0, 0.49: 0, 0.5: 1, 1: 1}),  # IoU
        ("binary", 0.7, {0.5: 0, 0.69: 0, 0.7: 1}),  # the judge
        ("quantized", 0.5, {0: 0, 0.4: 0, 0.41: 0.01 / 0.3, 0.55: 0.5, 0.69: 0.29 / 0.3, 0.7: 1, 0.9: 1}),
    ],
)
def test_variants(variant, right, table):
    for value, earned in table.items():
        assert shape(value, variant, right) == pytest.approx(earned)


def test_variants_shape_boxes_and_grades_and_leave_right_and_wrong_alone():
    half = parse(thought("[[100,200,500,400]]"), thinking=True)
    assert [task_reward(GROUND, half, None, name) for name in ("continuous", "binary", "quantized")] == [
        0.5,
        1.0,
        pytest.approx(1 / 3),
    ]
    told = parse(thought("ships"), thinking=True)
    assert [task_reward(TELL, told, 0.6, name) for name in ("continuous", "binary", "quantized")] == [
        0.6,
        0.0,
        pytest.approx(2 / 3),
    ]
    for name in ("continuous", "binary", "quantized"):
        assert task_reward(SCENE, parse(thought("farmland"), thinking=True), 0.1, name) == 1.0
    with pytest.raises(ValueError, match="unknown"):
        Reward(2, variant="scaled")


# ---- as TRL calls it


def call(examples, texts):
    """Arguments in TRL's order: prompts, completions, completion_ids, example."""
    return (
        [None] * len(texts),
        [[{"role": "assistant", "content": t}] for t in texts],
        [[1]] * len(texts),
        examples,
    )


def test_a_right_and_well_formed_answer_earns_both():
    texts = [thought("farmland"), "farmland", thought("port"), "<answer> farmland </answer>"]
    assert Reward(4)(*call([SCENE] * 4, texts)) == [2.0, 0.0, 1.0, 1.0]
    assert Reward(4, format_weight=0.5)(*call([SCENE] * 4, texts)) == [1.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("dialect", NOTATIONS)
@pytest.mark.parametrize("variant", ["continuous", "binary", "quantized"])
def test_in_every_notation_the_true_box_earns_1_and_another_below_a_tenth(dialect, variant):
    right, wrong = (100, 200, 500, 600), [(600, 700, 900, 900), (500, 600, 100, 200), (100, 200, 500, "nan"), (0, 0, 60, 60)]
    tag = dialect_of(dialect).thought
    texts = [
        f"<{tag}> I see it. </{tag}> <answer> {write(dialect, *numbers)} </answer>" for numbers in (right, *wrong)
    ]
    reward = Reward(len(texts), dialect=dialect, variant=variant)
    given = reward(*call([GROUND] * len(texts), texts))
    assert [row["task_reward"] for row in reward.table][0] == 1.0 and given[0] == 2.0
    assert all(row["task_reward"] < 0.1 for row in reward.table[1:])
    assert given[1:] == [1.0 + row["task_reward"] for row in reward.table[1:]]


def test_a_row_that_cannot_be_scored_is_none_as_a_whole():
    texts = [thought("7 ships"), "7 ships", "", thought("farmland")]
    reward = Reward(2)  # no judge
    assert reward(*call([TELL, TELL, TELL, SCENE], texts)) == [None, None, None, 2.0]
    with loopback(refuses(500)) as server:
        reward = Reward(2, judge=judge(server, retries=0))
        assert reward(*call([TELL, SCENE], [thought("7 ships"), thought("farmland")])) == [None, 2.0]
    lost = example(Task.GROUNDING, "?")  # a truth without a box
    assert Reward(2)(*call([lost], [thought("[[1,2,3,4]]")])) == [None]


def test_the_judge_is_asked_about_open_ended_answers_only():
    with loopback(by_answer) as server:
        reward = Reward(2, judge=judge(server))
        texts = [thought("6 ships"), thought("farmland"), thought("8 ships"), "no tags"]
        examples = [TELL, SCENE, TELL, TELL]
        assert reward(*call(examples, texts)) == [1.6, 2.0, 1.8, 0.0]  # an empty answer is worth nothing
        assert len(server.requests) == 2


def test_no_key_is_wanted_where_no_row_is_open_ended():
    from training.judge import Judge

    reward = Reward(2, judge=Judge("gpt-4.1-mini"))
    assert reward(*call([SCENE, GROUND], [thought("farmland"), thought("port")])) == [2.0, 1.0]
    assert [needs_judge(e) for e in (SCENE, GROUND, YES, COUNT, CHOICE, TELL)] == [False] * 5 + [True]


def test_groups_without_a_difference_are_counted_and_curves_are_told_per_task():
    told = {}
    reward = Reward(2)
    examples = [SCENE, SCENE, GROUND, GROUND, TELL, TELL]
    half = thought("[[100,200,500,400]]")
    texts = [thought("farmland"), thought("farmland"), thought("[[100,200,500,600]]"), half, "x", "y"]
    prompts, completions, _, examples = call(examples, texts)
    ids = [[1] * n for n in (4, 6, 5, 5, 1, 3)]
    reward(prompts, completions, ids, examples, log_metric=told.__setitem__)
    assert (reward.groups, reward.flat) == (3, 2)  # all right; a difference; nobody could say
    assert told.pop("groups/zero_variance") == pytest.approx(2 / 3)
    assert told.pop("unscored") == pytest.approx(1 / 3)
    assert told == {
        "task_reward/classification": 1.0,
        "task_reward/grounding": 0.75,
        "format/classification": 1.0,
        "format/grounding": 1.0,
        "format/captioning": 0.0,
        "tokens/classification": 5.0,
        "tokens/grounding": 5.0,
        "tokens/captioning": 2.0,
    }
    assert reward.table[3]["completion"] == half and reward.table[3]["task_reward"] == 0.5


def test_every_reward_is_a_number_between_0_and_2():
    texts = [text for text, _ in FORMS] + [thought(said) for _, said, _ in TASKS]
    for truth in (GROUND, SCENE, COUNT):
        for value in Reward(2)(*call([truth] * len(texts), texts)):
            assert 0 <= value <= 2 and math.isfinite(value)
