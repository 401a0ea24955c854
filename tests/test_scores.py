"""What a set of answers is worth: crafted files with known scores, baselines at chance, every dialect."""

import json
import random
from pathlib import Path

import pytest

from tests.benchmarks import CLASSES, turns, write_benchmark
from tinyrs.benchmarks import read_evaluation
from tinyrs.datasets import answered
from tinyrs.example import Answer, Example, Question, Task
from tinyrs.metrics import score, wilson
from tinyrs.models import MODELS
from tinyrs.parse import parse
from training.evaluate import main
from training.scores import NO_LABEL, answers, chance, mean_interval, table
from training.suite import SYSTEMS


@pytest.fixture
def benchmark(tmp_path):
    return lambda rows, name="cls_X": write_benchmark(tmp_path, rows, name)


@pytest.fixture
def scored(tmp_path):
    """scored(kind, [(true answer, prediction), ...]) -> scores.json of the command."""

    def run(kind, pairs, query="", *options, **more):
        lines = [
            {"filename": "a.jpg", "size": [0, 0], "query": query, "answer": true, "pred": said, **more}
            for true, said in pairs
        ]
        path = tmp_path / "answers.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert main(["score", str(path), "--kind", kind, "--out", str(tmp_path / "out"), *options]) == 0
        return json.loads((tmp_path / "out" / "scores.json").read_text())

    return run


# ---- crafted files

CLASSIFY = CLASSES.replace("<image>\n", "")
CHOOSE = "What?\nChoices: A. road B. river C. port Answer from the given choices with A., B., etc."
TRUTH = "[80,60,400,300]"  # 800 wide, 600 high: [[100,100,500,500]] on 0-1000
LONG = "<reasoning> Ships and ships and"


@pytest.mark.parametrize(
    "kind, query, true, said, strict, reference, parsed",
    [
        # what the released evaluation takes for right, and is not
        ("cls", CLASSIFY, "port", "", 0, 1, 0),
        ("cls", CLASSIFY, "bare land", "land", 0, 1, 0),  # a substring of the truth
        ("cls", CLASSIFY, "port", "port, beach", 0, 1, 0),  # a list of labels
        ("cls", CLASSIFY, "port", "port beach", 0, 0, 0),
        ("cls", CLASSIFY, "port", "Beach.", 0, 0, 1),
        ("cls", CLASSIFY, "port", "Port.", 1, 1, 1),
        ("cls", CLASSIFY, "bare land", "BareLand", 1, 1, 1),
        ("vqa", "{VQA} How many ships are there?", "100", "10", 0, 1, 1),
        ("vqa", "{VQA} How many ships are there?", "100", "100", 1, 1, 1),
        ("vqa", "{VQA} Is there a ship?", "yes", "", 0, 1, 0),
        ("vqa", "{VQA} Is there a ship?", "yes", "Yes", 1, 1, 1),
        ("vqa", "{VQA} Is there a ship?", "yes", "yes or no", 0, 0, 0),
        # and what it takes for wrong
        ("choice", CHOOSE, "B", "B\n", 1, 0, 1),
        ("choice", CHOOSE, "B", "", 0, 1, 0),
        ("choice", CHOOSE, "B", "B. river", 1, 1, 1),
        ("choice", CHOOSE, "B", "A. or B.", 0, 0, 0),
        # a picture that is not square; None: it drops the sample
        ("grounding", "{VG} the ship", TRUTH, "[[100,100,500,500]]", 1, 1, 1),
        ("grounding", "{VG} the ship", TRUTH, "[[80,60,400,300]]", 0, 0, 1),  # pixels, where 0-1000 is due
        ("grounding", "{VG} the ship", TRUTH, "[[0.1,0.1,0.5,0.5]]", 0, None, 0),  # 0-1
        ("grounding", "{VG} the ship", TRUTH, "[[100,100,500", 0, None, 0),
        ("grounding", "{VG} the ship", TRUTH, "", 0, None, 0),
        # cut off while it reasoned
        ("cls", CLASSIFY, "port", LONG, 0, 0, 0),
        ("grounding", "{VG} the ship", TRUTH, LONG + " [[100,100,500,500]]", 0, 1, 0),
    ],
)
def test_crafted_answers_have_known_scores(scored, kind, query, true, said, strict, reference, parsed):
    numbers = scored(kind, [(true, said)] * 3, query, size=[600, 800], truncated=said.startswith(LONG))
    told = [numbers[name] for name in ("n", "strict", "reference", "parsed", "truncated")]
    assert told == [3, strict, reference, parsed, float(said.startswith(LONG))]
    assert numbers["strict_interval"] == pytest.approx(wilson(3 * strict, 3))
    dropped = reference is None
    assert numbers["reference_n"] == (0 if dropped else 3)


@pytest.mark.parametrize(
    "said, truncated",
    [
        (LONG, True),
        ("<reasoning> Ships. </reasoning> <answer> por", True),
        ("<reasoning> Ships. </reasoning> <answer> port </answer>", False),
        ("<reasoning> Ships. </reasoning>", False),  # it stopped by itself
        ("port", False),
    ],
)
def test_a_program_that_does_not_say_what_was_cut_off_shows_it_in_the_text(scored, said, truncated):
    assert scored("cls", [("port", said)], CLASSIFY)["truncated"] == truncated
    assert scored("cls", [("port", said)], CLASSIFY, truncated=False)["truncated"] == 0
    assert scored("cls", [("port", said)], CLASSIFY, "--thinking", "no")["truncated"] == 0  # there it is text


def test_numbers_and_null_of_another_program_are_texts(scored):
    pairs = [(3, 3), (3, "3"), (3, None), (1.5, 15), ("1.5", 1.5)]
    numbers = scored("vqa", pairs, "{VQA} How many ships are there?")
    assert (numbers["n"], numbers["strict"], numbers["parsed"]) == (5, 0.6, 0.8)


def test_one_right_and_four_unreadable_boxes_are_20_percent_and_not_100(scored):
    pairs = [(TRUTH, said) for said in ("[[100,100,500,500]]", "", "no", "[[1,2,3]]", "[[9,9,1,1]]")]
    numbers = scored("grounding", pairs, "{VG} the ship", size=[600, 800])
    assert (numbers["n"], numbers["strict"], numbers["micro"]) == (5, 0.2, 0.2)
    assert numbers["reference"] == 0.5 and numbers["reference_n"] == 2
    assert numbers["reference_interval"] == pytest.approx(wilson(1, 2))


def test_a_model_that_was_to_reason_gets_nothing_for_a_bare_answer(scored):
    said = [("port", "port"), ("port", "<reasoning> Ships. </reasoning> <answer> port </answer>")]
    assert scored("cls", said, CLASSIFY)["strict"] == 1
    assert scored("cls", said, CLASSIFY, "--thinking", "yes")["strict"] == 0.5
    assert scored("cls", said, CLASSIFY, "--thinking", "no")["strict"] == 0.5


def test_classes_confusion_and_averages(scored):
    pairs = [("port", "port")] * 6 + [("port", "Beach")] * 2 + [("beach", "beach"), ("beach", "sand")]
    numbers = scored("cls", pairs, CLASSIFY)
    assert numbers["confusion"] == {"beach": {NO_LABEL: 1, "beach": 1}, "port": {"beach": 2, "port": 6}}
    assert {name: part["strict"] for name, part in numbers["classes"].items()} == {"beach": 0.5, "port": 0.75}
    assert numbers["micro"] == numbers["strict"] == 0.7
    assert numbers["macro"] == pytest.approx((0.5 + 0.75) / 2)
    assert numbers["majority"] == 0.8 and numbers["chance"] == pytest.approx(1 / 3)


def test_letters_and_yes_and_no_have_a_confusion_too(scored):
    assert scored("choice", [("B", "(b)"), ("A", "C. port"), ("A", "road")], CHOOSE)["confusion"] == {
        "A": {NO_LABEL: 1, "C": 1},
        "B": {"B": 1},
    }
    told = scored("vqa", [("yes", "No."), ("no", "no")], "{VQA} Is there a ship?")
    assert told["confusion"] == {"no": {"no": 1}, "yes": {"no": 1}}
    assert "confusion" not in scored("vqa", [("3", "3")], "{VQA} How many ships are there?")


def test_the_macro_average_of_boxes_is_over_their_areas(scored):
    small = "[10,10,20,20]"
    pairs = [(TRUTH, "[[100,100,500,500]]")] * 3 + [(small, "[[100,100,500,500]]")]
    numbers = scored("grounding", pairs, "{VG} the ship", size=[600, 800])
    assert (numbers["micro"], numbers["macro"]) == (0.75, 0.5)


# ---- baselines


@pytest.mark.parametrize("kind", ["cls", "vqa", "choice", "grounding"])
def test_shuffled_truth_falls_to_chance_and_perfect_answers_are_perfect(scored, kind):
    rng, n = random.Random(1), 600

    def box():
        x, y = rng.randrange(700), rng.randrange(500)
        return f"[{x},{y},{x + 100},{y + 100}]"

    query = {"cls": CLASSIFY, "vqa": "{VQA} Is there a ship?", "choice": CHOOSE, "grounding": "{VG} a ship"}
    pick = {"cls": ("port", "beach", "bare land"), "vqa": ("yes", "no"), "choice": "ABC"}
    truths = [box() if kind == "grounding" else rng.choice(pick[kind]) for _ in range(n)]
    shuffled = rng.sample(truths, n)

    def run(said):
        pairs = list(zip(truths, said, strict=True))
        if kind == "grounding":  # the truth is in pixels
            pairs = [(true, rescale(text)) for true, text in pairs]
        return scored(kind, pairs, query[kind], size=[600, 800])

    def rescale(text):
        x1, y1, x2, y2 = json.loads(text)
        return f"[[{x1 / 0.8:g},{y1 / 0.6:g},{x2 / 0.8:g},{y2 / 0.6:g}]]"

    perfect, random_ones = run(truths), run(shuffled)
    assert perfect["strict"] == 1 and random_ones["n"] == n
    assert random_ones["strict"] == pytest.approx(random_ones["chance"], abs=0.06)
    expected = {"cls": 1 / 3, "vqa": 1 / 2, "choice": 1 / 3, "grounding": 0.01}[kind]
    assert random_ones["strict"] == pytest.approx(expected, abs=0.06)


# ---- every system of the paper, in its own words

BOXES = {  # (right, partly right, broken); the true box is [[200,300,600,700]]
    "tinyrs": ("[[200,300,600,700]]", "[[0,300,400,700]]", "[[200,300,600"),
    "vhm": ("[[200, 300, 600, 700]]", "[[0, 300, 400, 700]]", "[[200, 300, 1600, 700]]"),
    "qwen2-vl": (
        "<|object_ref_start|>the ship<|object_ref_end|><|box_start|>(200,300),(600,700)<|box_end|>",
        "<|box_start|>(0,300),(400,700)<|box_end|>",
        "<|box_start|>(200,300),(600",
    ),
    "qwen2-vl-think": ("[200, 300, 600, 700]", "[0, 300, 400, 700]", "[200, 300, 600]"),
    "geochat": (
        "<p>the ship</p> {<20><30><60><70>|<0>}",
        "{<0><30><40><70>|<90>}",
        "{<20><30><60>|<0>}",
    ),
    "skysensegpt": ("({<20><30><60><70>|<0>})", "({<0><30><40><70>|<0>})", "({<200><300><600><700>|<0>})"),
    "lhrs": (
        "<p>the ship</p><bbox>[0.2,0.3,0.6,0.7]</bbox>",
        "<bbox>[0.0, 0.3, 0.4, 0.7]</bbox>",
        "<bbox>[20,30,60,70]</bbox>",
    ),
}
TAGS = {"tinyrs": "reasoning", "qwen2-vl-think": "think"}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_table_is_read_in_its_own_notation(name):
    spec = MODELS[name]
    where = Example(
        Path("p"), Question("the ship", Task.GROUNDING), "", parse("[[200,300,600,700]]").boxes, size=(9, 9)
    )
    what = Example(Path("p"), Question("Which?", Task.CLASSIFICATION, ("port", "beach")), "port")
    tag = TAGS.get(spec.dialect)

    def said(text):
        return f"<{tag}> I look. </{tag}> <answer> {text} </answer>" if spec.thinking else text

    def judge(example, text):
        (answer,) = answers([{"pred": text}], spec.dialect, spec.thinking, spec.box_scale)
        return score(example, answer, spec.dialect), answer

    (right, _), (part, _), (broken, _) = (judge(where, said(text)) for text in BOXES[spec.dialect])
    assert (right.value, right.parsed) == (1, True)
    assert (part.value, part.parsed, part.iou) == (0, True, pytest.approx(1 / 3))
    assert (broken.value, broken.parsed, broken.iou) == (0, False, 0)
    got, answer = judge(what, said("Port."))
    assert got.value == 1 and answer.well_formed
    if spec.thinking:  # its form belongs to its answer
        for text in ("port", f"<{tag}> I look.", f"<{tag}> I look. </{tag}> port"):
            got, answer = judge(what, text)
            assert (got.value, answer.well_formed) == (0, False)


def test_every_system_of_the_paper_is_in_the_model_table():
    assert set(SYSTEMS) < set(MODELS)
    assert {MODELS[name].dialect for name in MODELS} == set(BOXES)


# ---- numbers


def test_the_interval_of_a_mean_is_narrower_than_those_of_its_parts():
    parts = [(0.5, wilson(50, 100)), (0.9, wilson(90, 100)), (1.0, wilson(100, 100))]
    low, high = mean_interval(parts)
    assert low < 0.8 < high and high - low < parts[0][1][1] - parts[0][1][0]
    assert mean_interval(parts[:1]) == pytest.approx(parts[0][1])
    assert mean_interval([(1.0, wilson(3, 3))])[1] == 1.0


@pytest.mark.parametrize(
    "side, bucket",
    [(32, "S"), (33, "M"), (96, "M"), (97, "L")],
)
def test_areas_are_those_of_the_true_box_in_pixels(benchmark, side, bucket):
    row = turns("<image>{VG} the ship", f"[100,100,{100 + side},{100 + side}]", size=[800, 800])
    examples = read_evaluation(benchmark([row], "VG_X"), "grounding")
    assert list(table(examples, [Answer(raw="")], "grounding")["areas"]) == [bucket]


def test_types_are_reported_apart(benchmark):
    rows = [
        turns("<image>{VQA} Is a road present?", "yes", type="presence"),
        turns("<image>{VQA} Is a ship present?", "no", type="presence"),
        turns("<image>{VQA} Are there more roads than ships?", "yes", type="comp"),
    ]
    examples = read_evaluation(benchmark(rows, "vqa"), "vqa")
    numbers = table(examples, answers([{"pred": text} for text in ("yes", "yes", "yes")]), "vqa")
    assert {name: part["strict"] for name, part in numbers["types"].items()} == {"comp": 1.0, "presence": 0.5}
    assert numbers["majority_answer"] == "yes" and numbers["chance"] == 0.5


def test_a_letter_is_scored_and_named_by_what_it_measures(benchmark):
    asked = (
        "<image>What is shown?\nChoices: A. a road B. a river Answer from the given choices with A., B., etc."
    )
    examples = read_evaluation(benchmark([turns(asked, "B", type=["1", "10"])] * 2, "LHRS"), "choice")
    numbers = table(examples, answers([{"pred": "B\n"}, {"pred": ""}]), "choice")
    assert numbers["strict"] == 0.5 and numbers["chance"] == 0.5
    assert {name: part["n"] for name, part in numbers["types"].items()} == {"1 identity": 2, "10 location": 2}


def test_chance_for_boxes_is_that_of_boxes_of_other_rows():
    def example(text):
        return answered(Path("p"), Question("the ship", Task.GROUNDING), text, 1000, (0, 0), "")

    same = [example("[[0,0,500,500]]"), example("[[0,0,500,500]]")]
    apart = [example("[[0,0,100,100]]"), example("[[500,500,900,900]]")]
    assert (chance(same), chance(apart)) == (1.0, 0.0)
    # Two phrases for each object, as files have them side by side: what a guess gets is what shuffled answers get.
    corners = [(place % 10 * 90, place // 10 * 90) for place in range(100)]
    twice = [example(f"[[{x},{y},{x + 80},{y + 80}]]") for x, y in corners for _ in range(2)]
    assert chance(twice) == pytest.approx(1 / 199, abs=0.002)
    open_set = [
        Example(Path("p"), Question("How many?", Task.COUNTING), text) for text in ("1", "2", "2", "3")
    ]
    assert chance(open_set) == pytest.approx(1 / 3)
