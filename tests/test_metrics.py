"""Right is right, wrong is wrong, in every notation; and what the released evaluation would have said."""

import math
import random
import time
from pathlib import Path

import pytest

from tinyrs.example import Answer, Box, Example, Question, Task
from tinyrs.metrics import Score, equal, format_ok, iou, majority, pair, score, summarise, wilson
from tinyrs.parse import format_boxes, parse
from tinyrs.prompt import DIALECTS

CLASSES = ("airport", "port", "storage tank", "beach", "baseball field")


def example(task, truth, boxes=(), labels=(), text="Q?"):
    return Example(Path("a.png"), Question(text, task, labels), truth, boxes)


def judge(task, truth, said, labels=(), text="Q?"):
    return score(example(task, truth, labels=labels, text=text), parse(said))


# --- iou ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a, b, wanted",
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1.0),  # the same
        (Box(0, 0, 10, 10), Box(5, 0, 15, 10), 1 / 3),  # half shared
        (Box(0, 0, 10, 10), Box(0, 0, 10, 5), 0.5),  # inside
        (Box(0, 0, 10, 10), Box(10, 0, 20, 10), 0.0),  # touching
        (Box(0, 0, 10, 10), Box(20, 20, 30, 30), 0.0),  # apart
        (Box(10, 10, 0, 0), Box(0, 0, 10, 10), 0.0),  # both axes reversed: the area would come out positive
        (Box(10, 0, 0, 10), Box(0, 0, 10, 10), 0.0),  # one axis reversed
        (Box(5, 5, 5, 9), Box(0, 0, 10, 10), 0.0),  # no area
        (Box(math.nan, 0, 10, 10), Box(0, 0, 10, 10), 0.0),
        (Box(0, 0, math.inf, 10), Box(0, 0, 10, 10), 0.0),
    ],
)
def test_iou(a, b, wanted):
    assert iou(a, b) == pytest.approx(wanted)
    assert iou(b, a) == pytest.approx(wanted)


def test_pairs_are_one_to_one():
    one, two = Box(0, 0, 10, 10), Box(20, 20, 30, 30)
    assert pair([two, one, one], [one, two]) == [(0, 1, 1.0), (1, 0, 1.0)]


# --- equality -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pred, truth",
    [
        ("yes", "Yes"),  # case
        ("Yes.", "yes"),  # outer punctuation
        ("**yes**", "yes"),  # markup
        ("\u201cyes\u201d", "yes"),  # quotes
        (" yes\n", "yes"),
        ("- yes", "yes"),
        ("ye\u200bs", "yes"),  # prompt.defuse leaves such characters
        ("a bridge", "Bridge"),  # article
        ("storage_tank", "storage tank"),  # joints
        ("baseball-field", "baseball field"),
        ("BaseballField", "baseball field"),  # AID's folder names
        ("sentinel 2", "Sentinel-2"),
        ("120 m2", "120m2"),
        # numbers
        ("two", "2"),
        ("2", "two"),
        ("Two.", "2"),
        ("2.0", "2"),
        ("02", "2"),
        ("twenty-one", "21"),
        ("one hundred and five", "105"),
        ("1,234", "1234"),
        ("15.", "15"),
        ("-3", "-3"),
        ("\u22123", "-3"),
        # lists
        ("river, bridge", "bridge, river"),
        ("river and bridge", "bridge, river"),
        ("a river\na bridge", "bridge; river"),
        ("two, red", "red, 2"),
        # multiple choice
        ("B", "B"),
        ("b", "B"),
        ("B.", "B"),
        ("B\n", "B"),
        ("(B)", "B"),
        ("B)", "B"),
        ("(B).", "B"),
        ("B. a river", "B"),
        ("B: a river", "B"),
    ],
)
def test_equal(pred, truth):
    assert equal(pred, truth)


@pytest.mark.parametrize(
    "pred, truth",
    [
        ("no", "yes"),
        # what the released evaluation takes for right
        ("", "yes"),
        (".", "yes"),
        ("a", "airport"),
        ("port", "airport"),
        ("10", "100"),
        ("15", "1.5"),
        # nothing equals nothing
        ("", ""),
        (".", "."),
        ("\u200b", "\u200b"),
        # hedging
        ("yes, no", "yes"),
        ("yes or no", "yes"),
        ("yes\nno", "yes"),
        ("yes/no", "yes"),
        ("port, airport", "airport"),
        # numbers
        ("1 5", "15"),
        ("1-5", "15"),
        ("15", "1-5"),
        ("3", "-3"),
        ("5 m", "-5 m"),
        ("5 m", ".5 m"),
        ("two three", "5"),
        ("two or three", "2"),
        ("nan", "2"),
        ("hundred", "100"),
        ("two bridges", "2"),
        # lists
        ("bridge", "bridge, river"),
        ("bridge, river, road", "bridge, river"),
        ("bridge, bridge", "bridge, river"),
        # multiple choice
        ("A", "B"),
        ("A, B", "A"),
        ("A or B", "A"),
        ("A. or B.", "A"),
        ("A/B", "A"),
        ("A. road B. river", "A"),
        ("A. road\nB. river", "B"),
        ("a bridge", "A"),  # an article is no letter
        ("AB", "A"),
        ("the answer", "A"),
    ],
)
def test_not_equal(pred, truth):
    assert not equal(pred, truth)


@pytest.mark.parametrize(
    "pred, right",
    [
        ("airport", True),
        ("Airport.", True),
        ("an airport", True),
        ("port", False),  # another label that is part of the true one
        ("airport, port", False),  # several labels
        ("port and airport", False),
        ("air", False),
        ("It is an airport", False),  # a sentence is no label
        ("", False),
        (", ".join(CLASSES), False),  # the whole list
    ],
)
def test_an_answer_over_a_label_set_is_exactly_one_label(pred, right):
    assert equal(pred, "airport", CLASSES) == right


def test_letters_as_labels_make_it_a_multiple_choice():
    assert equal("B. a river", "B", ("A", "B", "C"))
    assert equal("b", "B. a river", ("A", "B"))
    assert not equal("a river", "B", ("A", "B"))


@pytest.mark.parametrize(
    "piece", [" ", "a ", "1 ", "and ", ",", "A. ", "- ", "_", "(", "one ", "\n", "\ufdfa"]
)
def test_a_megabyte_is_compared_at_once(piece):
    text = piece * (1_000_000 // len(piece))
    started = time.thread_time()
    for truth in ("a, b", "B", "2", "yes"):
        assert not equal(text, truth)
        equal(text[:19_000], truth)
    assert time.thread_time() - started < 1


# --- grounding: threat 18 -------------------------------------------------------------------------------

TRUE = Box(200, 300, 600, 700)
NOTATIONS = {
    "tinyrs": "[[{},{},{},{}]]",
    "vhm": "[[{}, {}, {}, {}]]",
    "qwen2-vl": "<|box_start|>({},{}),({},{})<|box_end|>",
    "qwen2-vl-think": "[{},{},{},{}]",
    "geochat": "{{<{}><{}><{}><{}>|<0>}}",
    "skysensegpt": "({{<{}><{}><{}><{}>|<0>}})",
    "lhrs": "<bbox>[{},{},{},{}]</bbox>",
}


def write(dialect, *numbers):
    unit = DIALECTS[dialect].box_scale / 1000
    scaled = [n if isinstance(n, str) else n if unit == 1 else round(n * unit, 6) for n in numbers]
    return NOTATIONS[dialect].format(*scaled)


def ground(dialect, said):
    return score(example(Task.GROUNDING, "", (TRUE,)), parse(said, dialect=dialect), dialect)


def test_every_dialect_has_a_notation_here():
    assert set(NOTATIONS) == set(DIALECTS)


@pytest.mark.parametrize("dialect", NOTATIONS)
class TestGrounding:
    def test_the_true_box_is_right(self, dialect):
        got = ground(dialect, write(dialect, 200, 300, 600, 700))
        assert (got.value, got.parsed, got.reference) == (1.0, True, 1.0)
        assert got.iou == pytest.approx(1.0)

    def test_a_near_box_is_right_and_its_overlap_is_continuous(self, dialect):
        got = ground(dialect, write(dialect, 250, 300, 650, 700))
        assert got.value == 1.0 and got.iou == pytest.approx(350 / 450)

    @pytest.mark.parametrize(
        "numbers",
        [
            (700, 800, 900, 950),  # elsewhere
            (0, 0, 150, 200),
            (600, 300, 200, 700),  # x reversed
            (200, 700, 600, 300),  # y reversed
            (600, 700, 200, 300),  # both reversed
            (200, 300, 200, 700),  # no area
            (200, 300, 600, "nan"),
            ("nan", "nan", "nan", "nan"),
            ("-inf", "-inf", "inf", "inf"),
            (-1000, -1000, 2000, 2000),  # outside, around everything
            (300, 200, 700, 600.5 + 1000),
        ],
    )
    def test_a_wrong_box_is_wrong_and_counts(self, dialect, numbers):
        got = ground(dialect, write(dialect, *numbers))
        assert got.value == 0.0 and got.iou < 0.1

    @pytest.mark.parametrize("extra", [(700, 800, 900, 950), (600, 300, 200, 700), (200, 300, 600, "nan")])
    @pytest.mark.parametrize("first", [True, False])
    def test_an_extra_box_costs_everything(self, dialect, extra, first):
        both = [write(dialect, 200, 300, 600, 700), write(dialect, *extra)]
        got = ground(dialect, "\n".join(both if first else both[::-1]))
        assert got.value == 0.0
        assert got.iou <= 0.5  # a reward paid by overlap halves too

    def test_an_extra_box_in_the_notation_of_another_model_costs_as_much(self, dialect):
        other = "geochat" if dialect != "geochat" else "tinyrs"
        got = ground(dialect, write(dialect, 200, 300, 600, 700) + " " + write(other, 1, 2, 3, 4))
        assert got.value == 0.0

    @pytest.mark.parametrize(
        "said", ["", ".", "yes", "200,300,600,700", "[[]]", "I cannot see it.", "[[200,300,"]
    )
    def test_no_box_is_wrong_and_stays_in_the_denominator(self, dialect, said):
        got = ground(dialect, said)
        assert (got.value, got.iou, got.parsed) == (0.0, 0.0, False)
        # the released evaluation drops such a sample for TinyRS and VHM only
        assert got.reference == (None if dialect in ("tinyrs", "vhm") else 0.0)


@pytest.mark.parametrize(
    "dialect, said, reference",
    [
        # the true box, in forms that we read and its pattern for that model does not
        ("tinyrs", "[200,300,600,700]", None),
        ("tinyrs", "[[200.0,300,600,700]]", None),
        ("tinyrs", "[[200 300 600 700]]", 1.0),
        ("qwen2-vl", "(200, 300), (600, 700)", 0.0),
        ("qwen2-vl", "[[200,300,600,700]]", 0.0),
        ("qwen2-vl", "(200.4,300),(600,700)", 1.0),
        ("qwen2-vl-think", "(200,300),(600,700)", 1.0),
        ("qwen2-vl-think", "<think> [1,2,3,4] </think> <answer> [200, 300, 600, 700] </answer>", 1.0),
        ("geochat", "{<20><30><60><70>}", 0.0),  # without a turn
        ("geochat", "{<20><30><60><70>|<-5>}", 0.0),
        ("geochat", "{<20><30><60><70>|<45>}", 1.0),  # the turn is not looked at
        ("lhrs", "[0.2,0.3,0.6,0.7]", 0.0),
        ("lhrs", "<bbox>[0.2, 0.3, 0.6, 0.7]</bbox>", 0.0),
        # and only the first box counts
        ("tinyrs", "[[200,300,600,700]] [[1,2,3,4]]", 1.0),
        ("tinyrs", "[[1,2,3,4]] [[200,300,600,700]]", 0.0),
        ("lhrs", "<bbox>[0.2,0.3,0.6,0.7]</bbox><bbox>[0,0,1,1]</bbox>", 1.0),
        # both axes reversed overlaps nothing
        ("tinyrs", "[[600,700,200,300]]", 0.0),
    ],
)
def test_the_released_evaluation_reads_each_model_by_a_pattern_of_its_own(dialect, said, reference):
    assert ground(dialect, said).reference == reference


def test_one_right_and_four_unreadable_is_20_percent_and_100_in_the_released_evaluation():
    said = ["[[200,300,600,700]]", "none", "", "[[1,2,3]]", "x"]
    summary = summarise(ground("tinyrs", text) for text in said)
    assert (summary["n"], summary["strict"], summary["parsed"]) == (5, 0.2, 0.2)
    assert (summary["reference_n"], summary["reference"]) == (1, 1.0)
    assert summary["strict_interval"][0] < 0.2 < summary["strict_interval"][1]


def test_a_box_in_the_reasoning_is_no_answer():
    got = ground("tinyrs", "<reasoning>[[200,300,600,700]]</reasoning><answer>here</answer>")
    assert got.value == 0.0


@pytest.mark.parametrize(
    "said, value, overlap",
    [
        ("[[0,0,100,100],[200,200,300,300]]", 1.0, 1.0),
        ("[[200,200,300,300],[0,0,100,100]]", 1.0, 1.0),  # order does not matter
        ("[[0,0,100,100]]", 0.0, 0.5),  # one is missing
        ("[[0,0,100,100],[0,0,100,100]]", 0.0, 0.5),  # one twice
        ("[[0,0,100,100],[200,200,300,300],[500,500,600,600]]", 0.0, 2 / 3),  # one too many
        ("[[0,0,100,100],[200,200,300,240]]", 0.0, 0.7),  # one overlaps too little
    ],
)
def test_several_true_boxes_must_each_be_met(said, value, overlap):
    truth = (Box(0, 0, 100, 100), Box(200, 200, 300, 300))
    got = score(example(Task.GROUNDING, "", truth), parse(said))
    assert got.value == value and got.iou == pytest.approx(overlap)


def test_grounding_without_a_true_box_cannot_be_scored():
    assert score(example(Task.GROUNDING, "[[1,2,3,4]]"), parse("[[1,2,3,4]]")) == Score(None, None, True)


# --- texts: threat 18 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task, truth, said, labels, value, reference, parsed",
    [
        (Task.CLASSIFICATION, "airport", "airport", CLASSES, 1.0, 1.0, True),
        (Task.CLASSIFICATION, "airport", "Airport.", CLASSES, 1.0, 1.0, True),
        (Task.CLASSIFICATION, "airport", "beach", CLASSES, 0.0, 0.0, True),
        (Task.CLASSIFICATION, "airport", "volcano", CLASSES, 0.0, 0.0, False),  # none of the labels
        # contained in the truth: right there, wrong here
        (Task.CLASSIFICATION, "airport", "port", CLASSES, 0.0, 1.0, True),
        (Task.CLASSIFICATION, "airport", "", CLASSES, 0.0, 1.0, False),
        (Task.CLASSIFICATION, "airport", ".", CLASSES, 0.0, 1.0, False),
        (Task.CLASSIFICATION, "airport", "a", CLASSES, 0.0, 1.0, False),
        (Task.VQA, "yes", "yes", (), 1.0, 1.0, True),
        (Task.VQA, "yes", "no", (), 0.0, 0.0, True),
        (Task.VQA, "yes", "Yes, there is.", (), 0.0, 1.0, True),  # it cuts at the comma
        (Task.VQA, "yes", "yes\nno", (), 0.0, 0.0, True),
        (Task.VQA, "rural", "rural or urban", ("rural", "urban"), 0.0, 0.0, False),
        (Task.COUNTING, "100", "100", (), 1.0, 1.0, True),
        (Task.COUNTING, "100", "10", (), 0.0, 1.0, True),
        (Task.COUNTING, "2", "two", (), 1.0, 0.0, True),
        (Task.COUNTING, "2", "many", (), 0.0, 0.0, False),
        # it cuts at the dot, so a wrong decimal passes for its whole number
        (Task.COUNTING, "1", "1.5", (), 0.0, 1.0, True),
    ],
)
def test_score_of_short_answers(task, truth, said, labels, value, reference, parsed):
    got = judge(task, truth, said, labels)
    assert (got.value, got.reference, got.parsed, got.iou) == (value, reference, parsed, None)


@pytest.mark.parametrize(
    "said, value, reference",
    [
        ("B", 1.0, 1.0),
        ("B.", 1.0, 1.0),
        ("(B)", 1.0, 0.0),
        ("B. a river", 1.0, 1.0),
        ("<reasoning>r</reasoning><answer>B</answer>", 1.0, 1.0),
        ("B\n", 1.0, 0.0),  # a line break is wrong there
        ("", 0.0, 1.0),  # and nothing at all is right
        (".", 0.0, 1.0),
        ("A", 0.0, 0.0),
        ("A. B.", 0.0, 0.0),
        ("a river", 0.0, 0.0),
    ],
)
def test_score_of_multiple_choice(said, value, reference):
    got = judge(Task.OPEN, "B", said, ("A", "B", "C", "D"))
    assert (got.value, got.reference) == (value, reference)
    # the same question, where only its text names the choices
    assert judge(Task.VQA, "B", said, text="What?\nChoices: A. a road B. a river").value == value


@pytest.mark.parametrize("task", [Task.OPEN, Task.CAPTIONING])
def test_open_answers_need_a_judge(task):
    assert judge(task, "A dam.", "A dam.") == Score(None, None, True)
    assert judge(task, "A dam.", "") == Score(None, None, False)


def test_without_a_truth_there_is_no_score():
    assert judge(Task.VQA, " ", "yes") == Score(None, None, True)


def test_only_the_answer_of_a_thinking_model_counts():
    assert judge(Task.VQA, "yes", "<reasoning>no</reasoning><answer>yes</answer>").value == 1.0
    assert judge(Task.VQA, "yes", "<reasoning>yes</reasoning><answer>no</answer>").value == 0.0
    # ungraded words after a missing tag are no answer, there they are
    missing = judge(Task.VQA, "yes", "<reasoning>r</reasoning>yes")
    assert (missing.value, missing.reference) == (0.0, 1.0)


def bench(rng, n):
    """`n` examples of every kind with their perfect answers."""
    rows = []
    for i in range(n):
        label = rng.choice(CLASSES)
        rows.append((example(Task.CLASSIFICATION, label, labels=CLASSES), label))
        word = rng.choice(["yes", "no"])
        rows.append((example(Task.VQA, word), word))
        count = str(rng.randrange(10))
        rows.append((example(Task.COUNTING, count), count))
        letter = rng.choice("ABCD")
        rows.append((example(Task.OPEN, letter, labels=tuple("ABCD")), letter))
        x, y = rng.randrange(900), rng.randrange(900)
        box = Box(x, y, x + 100, y + 100)
        rows.append((example(Task.GROUNDING, "", (box,)), format_boxes([box])))
    return rows


def test_perfect_is_1_empty_is_0_shuffled_is_chance_and_hedging_is_0():
    rng = random.Random(0)
    rows = bench(rng, 400)
    chance = {
        Task.CLASSIFICATION: 0.2,
        Task.VQA: 0.5,
        Task.COUNTING: 0.1,
        Task.OPEN: 0.25,
        Task.GROUNDING: 0.01,
    }
    for task, expected in chance.items():
        ours = [row for row in rows if row[0].question.task is task]
        said = [text for _, text in ours]

        def strict(texts):
            return summarise(score(e, parse(t)) for (e, _), t in zip(ours, texts))["strict"]

        assert strict(said) == 1.0
        assert strict([""] * len(ours)) == strict(["."] * len(ours)) == 0.0
        assert strict(rng.sample(said, len(said))) == pytest.approx(expected, abs=0.07)
        assert strict([", ".join(sorted(set(said)))] * len(ours)) == 0.0


# --- format, intervals, sums ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said, ok",
    [
        ("<reasoning>r</reasoning><answer>a</answer>", True),
        ("<reasoning> r </reasoning> <answer> [[1,2,3,4]] </answer>", True),
        # all of these earn the full format reward in the release
        ("<reasoning></reasoning><answer></answer>", False),
        ("<reasoning>r</reasoning><answer>a</answer> and more", False),
        ("<reasoning><reasoning>r</reasoning></reasoning><answer>a</answer>", False),
        ("<reasoning>r</reasoning><answer><answer>a</answer></answer>", False),
        # and these are ill-formed anywhere
        ("yes", False),
        ("", False),
        ("<reasoning>r</reasoning><answer>a</answer><answer>b</answer>", False),
        ("<reasoning>r</reasoning>", False),
    ],
)
def test_format_reward(said, ok):
    assert format_ok(parse(said)) is ok
    assert format_ok(parse(said, thinking=True)) is ok


def test_a_plain_answer_has_a_form_too():
    assert format_ok(parse("yes", thinking=False), thinking=False)
    assert not format_ok(parse("", thinking=False), thinking=False)
    assert not format_ok(parse("<answer>yes</answer>", thinking=False), thinking=False)


@pytest.mark.parametrize(
    "right, n, low, high",
    [
        (0, 0, 0.0, 1.0),  # nothing is known
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (50, 100, 0.4038, 0.5962),  # Newcombe (1998) gives the same
        (76, 100, 0.6677, 0.8331),  # LR-Rural of TinyRS-R1
    ],
)
def test_wilson(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


def test_half_widths_are_those_of_the_papers_benchmarks():
    for share, n, half in [(0.76, 100, 0.083), (0.721, 565, 0.037), (0.749, 7500, 0.010)]:
        low, high = wilson(share * n, n)
        assert (high - low) / 2 == pytest.approx(half, abs=0.001)


def test_summary_of_nothing_and_of_unscored_samples():
    empty = summarise([])
    assert (empty["n"], empty["strict"], empty["strict_interval"], empty["parsed"]) == (
        0,
        None,
        (0.0, 1.0),
        None,
    )
    mixed = summarise([Score(None, None, True), Score(1.0, 0.0, True)])
    assert (mixed["n"], mixed["unscored"], mixed["strict"], mixed["reference"]) == (1, 1, 1.0, 0.0)


def test_summary_tells_what_was_cut_off():
    answers = [parse("<reasoning>r", truncated=True), parse("yes"), Answer(raw="x"), Answer(raw="y")]
    summary = summarise([Score(0.0, 0.0, False)] * 4, answers)
    assert (summary["truncated"], summary["well_formed"]) == (0.25, 0.75)


def test_the_majority_answer_is_the_baseline():
    rows = [example(Task.VQA, word) for word in ["Yes", "yes", "yes.", "no"]]
    assert majority(rows) == ("Yes", 0.75)
    boxes = [example(Task.GROUNDING, "", (Box(10, 10, 110, 110),))] * 3
    boxes.append(example(Task.GROUNDING, "", (Box(800, 800, 900, 900),)))
    assert majority(boxes) == ("[[10,10,110,110]]", 0.75)
    assert majority([example(Task.OPEN, "A dam.")]) == ("", None)
    assert majority([]) == ("", None)
