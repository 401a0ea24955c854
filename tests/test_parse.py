"""What models write, in every dialect, whole, cut short, streaming and hostile."""

import gc
import random

import pytest

from tests.clock import least
from tinyrs.example import Box
from tinyrs.parse import boxes, count_boxes, format_boxes, parse, split_steps
from tinyrs.prompt import DIALECTS

R1 = "<reasoning> I see water. It is held by a wall. </reasoning> <answer> a dam </answer>"


def corners(found):
    return [(box.x1, box.y1, box.x2, box.y2) for box in found]


# --- tags -----------------------------------------------------------------------------------------------


def test_a_thinking_answer_is_taken_apart():
    answer = parse(R1, thinking=True)
    assert answer.reasoning == ("I see water.", "It is held by a wall.")
    assert answer.text == "a dam"
    assert answer.well_formed and not answer.truncated and answer.problems == ()
    assert answer.raw == R1


def test_a_plain_answer_is_all_text():
    answer = parse("  yes\n", thinking=False)
    assert (answer.text, answer.reasoning, answer.well_formed, answer.problems) == ("yes", (), True, ())


@pytest.mark.parametrize(
    "text",
    [
        R1,
        "<reasoning>r</reasoning><answer>a</answer>",  # nothing between
        "\n<reasoning>\nr\n</reasoning>\n\n<answer>\na\n</answer>\n",  # whitespace around
        "<reasoning>r</reasoning><answer>a</answer><|im_end|>",  # the decoder left the end token
        "<reasoning>1 < 2 and <b>bold</b></reasoning><answer>a</answer>",  # other tags are text
        "<reasoning>r</reasoning><answer>a < b</answer>",
    ],
)
def test_well_formed(text):
    assert parse(text, thinking=True).well_formed
    assert parse(text).well_formed  # and recognised without being told


@pytest.mark.parametrize(
    "text, shown, problem",
    [
        # something is missing
        ("", "", "The answer tag is missing."),
        ("yes", "", "The reasoning tag is missing."),
        ("<answer>yes</answer>", "yes", "The reasoning tag is missing."),
        ("<reasoning>r</reasoning>", "", "The answer tag is missing."),
        # the released evaluation would grade this "yes"; a missing tag is a missing answer
        ("<reasoning>r</reasoning> yes", "", "The answer tag is missing."),
        # something is empty
        ("<reasoning></reasoning><answer>a</answer>", "a", "The reasoning is empty."),
        ("<reasoning> \n</reasoning><answer>a</answer>", "a", "The reasoning is empty."),
        ("<reasoning>\u200b</reasoning><answer>a</answer>", "a", "The reasoning is empty."),
        ("<reasoning>r</reasoning><answer></answer>", "", "The answer is empty."),
        ("<reasoning>r</reasoning><answer> \n </answer>", "", "The answer is empty."),
        # something is left open
        ("<reasoning>r <answer>a</answer>", "a", "The reasoning is not closed."),
        ("<reasoning>r</reasoning><answer>a", "a", "The answer is not closed."),
        ("<reasoning>r", "", "The reasoning is not closed."),
        # text where none belongs
        ("Sure! <reasoning>r</reasoning><answer>a</answer>", "a", "Text stands before the reasoning."),
        (
            "<reasoning>r</reasoning> so <answer>a</answer>",
            "a",
            "Text stands between the reasoning and the answer.",
        ),
        ("<reasoning>r</reasoning><answer>a</answer> Done.", "a", "Text follows the answer."),
        # twice, nested, left over, in the wrong order
        (
            "<reasoning>r</reasoning><reasoning>s</reasoning><answer>a</answer>",
            "a",
            "more than one reasoning.",
        ),
        ("<reasoning>r</reasoning><answer>a</answer><answer>b</answer>", "a\nb", "more than one answer."),
        ("<reasoning><reasoning>r</reasoning></reasoning><answer>a</answer>", "a", "A tag stands where none"),
        ("<reasoning>r<answer>a</answer></reasoning><answer>b</answer>", "b", "A tag stands where none"),
        (
            "<reasoning>r</reasoning><answer><answer>a</answer></answer>",
            "<answer>a",
            "A tag stands where none",
        ),
        ("<reasoning>r</reasoning></answer><answer>a</answer>", "a", "A tag stands where none belongs."),
        ("<answer>a</answer><reasoning>r</reasoning>", "a", "The answer comes before the reasoning."),
        # another spelling is another tag
        ("<Reasoning>r</Reasoning><answer>a</answer>", "a", "The reasoning tag is missing."),
        ("<think>r</think><answer>a</answer>", "a", "The reasoning tag is missing."),
    ],
)
def test_ill_formed(text, shown, problem):
    answer = parse(text, thinking=True)
    assert not answer.well_formed
    assert answer.text == shown
    assert any(problem in sentence for sentence in answer.problems), answer.problems


THOUGHT = "<think> I see water. It is held. </think> <answer> [381,625,876,811] </answer>"


def test_a_dialect_may_think_in_a_tag_of_its_own():
    answer = parse(THOUGHT, dialect="qwen2-vl-think", thinking=True)
    assert answer.well_formed and answer.problems == () and answer.raw == THOUGHT
    assert answer.reasoning == ("I see water.", "It is held.")
    assert corners(answer.boxes) == [(381, 625, 876, 811)]
    assert parse(THOUGHT, dialect="qwen2-vl-think").reasoning  # recognised without being told


@pytest.mark.parametrize(
    "text, shown, well_formed",
    [
        ("<think>r</think><answer>B</answer>", "B", True),
        ("<think>r</think> B", "", False),  # no answer tag
        ("<think>r", "", False),  # cut off in its thoughts
        ("<think></think><answer>B</answer>", "B", False),  # no thoughts
        ("<answer>B</answer>", "B", False),
        ("B", "", False),
    ],
)
def test_its_form_is_as_strict(text, shown, well_formed):
    answer = parse(text, dialect="qwen2-vl-think", thinking=True)
    assert (answer.text, answer.well_formed) == (shown, well_formed)


def test_two_answers_are_both_shown_so_that_hedging_equals_neither():
    assert parse("<reasoning>r</reasoning><answer>yes</answer><answer>no</answer>").text == "yes\nno"


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "<|im_end|>"])
def test_an_empty_plain_answer_is_ill_formed(text):
    answer = parse(text, thinking=False)
    assert not answer.well_formed and answer.problems == ("The answer is empty.",)


def test_tags_in_a_plain_answer_stay_text():
    said = "The tag </reasoning> closes <reasoning>."
    answer = parse(said, thinking=False)
    assert answer.text == said and answer.reasoning == ()
    assert not answer.well_formed


@pytest.mark.parametrize(
    "text, truncated, well_formed",
    [
        ("<reasoning> I see a long", True, False),  # cut in the reasoning
        ("<reasoning>r</reasoning><answer>[[1,", True, False),  # cut in the answer
        ("<reasoning>r</reasoning><answer>a</answer>", False, True),  # the budget ended just after the end
        ("The picture shows a", True, True),  # a plain answer has no end to miss
    ],
)
def test_truncated_is_told_where_the_form_is_not_complete(text, truncated, well_formed):
    answer = parse(text, truncated=True)
    assert (answer.truncated, answer.well_formed) == (truncated, well_formed)
    assert ("The text stopped at its token budget before it was complete." in answer.problems) == truncated


# --- streaming ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, reasoning, shown",
    [
        ("", (), ""),
        ("<reas", (), ""),  # an unfinished tag is not shown
        ("<reasoning>", (), ""),
        ("<reasoning> I see", ("I see",), ""),  # reasoning so far, no answer yet
        ("<reasoning> I see water. It", ("I see water.", "It"), ""),
        ("<reasoning> I see </reas", ("I see",), ""),
        ("<reasoning> r </reasoning>", ("r",), ""),
        ("<reasoning> r </reasoning> <ans", ("r",), ""),
        ("<reasoning> r </reasoning> <answer>", ("r",), ""),
        ("<reasoning> r </reasoning> <answer> a d", ("r",), "a d"),
        ("<reasoning> r </reasoning> <answer> a dam</ans", ("r",), "a dam"),
        ("<reasoning> r </reasoning> <answer> a dam</answer>", ("r",), "a dam"),
        ("<reasoning> at [[12, 3", ("at",), ""),  # an unfinished box is not shown
        ("<reasoning> r </reasoning> <answer> dam [[12,3", ("r",), "dam"),
        ("<reasoning> 1 <", ("1",), ""),  # may become a tag
        ("<reasoning> 1 < 2", ("1 < 2",), ""),  # may not
    ],
)
def test_a_streaming_thinking_answer_shows_what_is_sure(text, reasoning, shown):
    answer = parse(text, thinking=True, finished=False)
    assert (answer.reasoning, answer.text) == (reasoning, shown)
    assert answer.well_formed and answer.problems == ()  # more text can still put it right


@pytest.mark.parametrize(
    "text, shown, found",
    [
        ("[", "", 0),
        ("The dam [[1,2,3", "The dam", 0),
        ("[[1,2,30,40]", "", 1),  # the inner bracket is closed: the box can be drawn
        ("[[1,2,30,40]]", "[[1,2,30,40]]", 1),
        ("[[1,2,30,40],[5,6", "", 1),
        ("(1,2),(30", "", 0),
        ("(1,2)", "", 0),  # half of a box
        ("(1,2),(30,40)", "(1,2),(30,40)", 1),
        ("two ships (see", "two ships (see", 0),  # words in brackets are no box
        ("<|box_sta", "", 0),
        ("yes <", "yes", 0),
    ],
)
def test_a_streaming_plain_answer_holds_back_an_unfinished_box(text, shown, found):
    answer = parse(text, thinking=False, finished=False)
    assert (answer.text, len(answer.boxes)) == (shown, found)
    assert answer.problems == ()


def test_what_cannot_become_right_is_said_while_streaming():
    answer = parse("Well, <reasoning> r", finished=False)
    assert answer.problems == ("Text stands before the reasoning.",)


@pytest.mark.parametrize(
    "text, dialect",
    [
        (
            "<reasoning> At 0.5 m, e.g. [[1,2,30,40]]. It is. </reasoning> <answer> [[1,2,30,40]] </answer>",
            "tinyrs",
        ),
        ("<|object_ref_start|>dam<|object_ref_end|><|box_start|>(1,2),(30,40)<|box_end|>", "qwen2-vl"),
        (THOUGHT, "qwen2-vl-think"),
        ("<p>dam</p> {<1><2><30><40>|<45>}", "geochat"),
        ("<bbox>[0.1,0.2,0.3,0.4]</bbox>", "lhrs"),
    ],
)
def test_a_stream_never_takes_back_a_word(text, dialect):
    """Every prefix shows a prefix of what the next one shows, box for box and word for word."""
    before = parse("", dialect=dialect, finished=False)
    for end in range(len(text) + 1):
        now = parse(text[:end], dialect=dialect, finished=False)
        assert now.boxes[: len(before.boxes)] == before.boxes
        assert len(now.reasoning) >= len(before.reasoning)
        assert now.problems == ()
        for tag in ("<", "[[1,2,3,", "(1,2)"):
            assert not now.text.endswith(tag)
        before = now
    whole = parse(text, dialect=dialect)
    assert (before.text, before.boxes, before.reasoning) == (whole.text, whole.boxes, whole.reasoning)


# --- boxes ----------------------------------------------------------------------------------------------

BOX = (381.0, 625.0, 876.0, 811.0)


@pytest.mark.parametrize(
    "text, dialect, box_scale",
    [
        ("[[381,625,876,811]]", "tinyrs", None),
        ("[[381, 625, 876, 811]]", "tinyrs", None),  # spaces
        ("[[381 625 876 811]]", "tinyrs", None),  # spaces only, as the released pattern allows
        ("The dam is at [[381,625,876,811]].", "tinyrs", None),  # in a sentence
        ("[381,625,876,811]", "tinyrs", None),  # single brackets
        ("[0.381,0.625,0.876,0.811]", "tinyrs", 1),  # Figure 2, where that scale is declared
        ("[[304.8,500,700.8,648.8]]", "tinyrs", 800),  # the third party's scale
        ("[[381,625,876,811]]", "vhm", None),
        ("(381,625),(876,811)", "qwen2-vl", None),
        ("(381, 625), (876, 811)", "qwen2-vl", None),
        ("<|box_start|>(381,625),(876,811)<|box_end|>", "qwen2-vl", None),
        ("[381,625,876,811]", "qwen2-vl", None),  # Qwen2-VL-RS-R1 after reasoning
        ('{"bbox_2d": [381, 625, 876, 811], "label": "dam"}', "qwen2-vl", None),
        ("{<38.1><62.5><87.6><81.1>|<0>}", "geochat", None),
        ("({<38.1><62.5><87.6><81.1>|<0>})", "skysensegpt", None),
        ("([381,625,876,811])", "tinyrs", None),  # in brackets of another kind
        ("[(381,625),(876,811)]", "qwen2-vl", None),
        ("{<38.1><62.5><87.6><81.1>}", "geochat", None),  # no angle
        ("<bbox>[0.381,0.625,0.876,0.811]</bbox>", "lhrs", None),
        ("<bbox>[0.381, 0.625, 0.876, 0.811]</bbox>", "lhrs", None),
    ],
)
def test_every_notation_gives_the_same_box(text, dialect, box_scale):
    answer = parse(text, dialect=dialect, box_scale=box_scale)
    assert corners(answer.boxes) == [pytest.approx(BOX)]
    assert answer.problems == ()
    assert corners(boxes(text, dialect=dialect, scale=box_scale)) == [pytest.approx(BOX)]


def test_pixels_are_scaled_by_width_and_height():
    answer = parse("[[100,50,200,100]]", size=(400, 100))
    assert corners(answer.boxes) == [(250, 500, 500, 1000)]


def test_geochat_keeps_its_angle_and_qwen_its_label():
    assert parse("{<1><2><3><4>|<45>}", dialect="geochat").boxes == (Box(10, 20, 30, 40, "", 45.0),)
    said = "<|object_ref_start|>a dam<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>"
    assert parse(said, dialect="qwen2-vl").boxes == (Box(1, 2, 3, 4, "a dam"),)
    assert parse(said, dialect="qwen2-vl").text == "a dam(1,2),(3,4)"
    assert parse("<p>a dam</p> {<1><2><3><4>|<0>}", dialect="geochat").boxes[0].label == "a dam"


@pytest.mark.parametrize(
    "text, dialect, count",
    [
        ("[[1,2,3,4],[5,6,7,8]]", "tinyrs", 2),
        ("[[1,2,3,4]] and [[5,6,7,8]]", "tinyrs", 2),
        ("(1,2),(3,4)\n(5,6),(7,8)", "qwen2-vl", 2),
        ("(1,2),(3,4),(5,6),(7,8)", "qwen2-vl", 2),
        ("{<1><2><3><4>|<0>}{<5><6><7><8>|<0>}", "geochat", 2),
        ("<bbox>[0.1,0.2,0.3,0.4]</bbox><bbox>[0.5,0.6,0.7,0.8]</bbox>", "lhrs", 2),
    ],
)
def test_several_boxes(text, dialect, count):
    assert len(parse(text, dialect=dialect).boxes) == count == count_boxes(text)


def test_boxes_of_the_reasoning_are_kept_apart():
    answer = parse("<reasoning>At [[1,2,3,4]].</reasoning><answer>[[5,6,7,8]]</answer>")
    assert corners(answer.reasoning_boxes) == [(1, 2, 3, 4)]
    assert corners(answer.boxes) == [(5, 6, 7, 8)]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("[[400,1,300,2]]", "x1 and x2 are the wrong way round: [400,1,300,2]"),
        ("[[1,400,2,300]]", "y1 and y2 are the wrong way round: [1,400,2,300]"),
        ("[[5,5,5,9]]", "A box has no area: [5,5,5,9]"),
        ("[[0,0,0,0]]", "A box has no area"),
        ("[[1,2,3,1001]]", "A box lies outside the picture, which runs from 0 to 1000: [1,2,3,1001]"),
        ("[[-1,2,3,4]]", "A box lies outside the picture"),
        ("[[1,2,3,nan]]", "A box holds something that is not a finite number"),
        ("[[1,2,inf,4]]", "A box holds something that is not a finite number"),
        ("[[1,2,1e999,4]]", "A box holds something that is not a finite number"),
        ("[[1,2,3]]", "A box needs four numbers, not 3"),
        ("[[1,2,3,4,5]]", "A box needs four numbers, not 5"),
        ("[[1,2,3,4,5,6,7,8]]", "A box needs four numbers, not 8"),
        ("[[1,2],[3,4]]", "A box needs four numbers, not 2"),
        ("(1,2),(3,4),(5,6)", "A box needs four numbers, not 6"),
        ("(1,2,3),(4,5)", "A box needs four numbers, not 5"),
        ("[[12,34", "A box is not complete: [[12,34"),
        ("(12,34),(5", "A box is not complete: (12,34),(5"),
        # nobody guesses a scale: Figure 2's floats under 0..1000 are a mistake, not a tiny box
        ("[0.381,0.625,0.876,0.811]", "A box is written on a scale of 1, where 1000 was declared"),
        ("{<1><2><3><4>|<0>}", "A box is written in the notation of another model"),
    ],
)
def test_a_box_that_cannot_be_used_is_a_problem_and_no_box(text, problem):
    answer = parse(text)
    assert answer.boxes == ()
    assert any(sentence.startswith(problem) for sentence in answer.problems), answer.problems
    assert answer.well_formed  # that is about the tags


@pytest.mark.parametrize(
    "text",
    [
        "There are 3 ships [1] and (2) planes.",  # citations
        "The city lies at (41, 29).",  # one point
        "See [3, 4].",
        "An array [a, b, c, d] of [1, 2, x, 4]",
        "[]",
        "[[]]",
        "()",
        "{}",
        "{<a><b>}",
        "1, 2, 3, 4",  # bare numbers
        "[381px,625px,876px,811px]",
        "f(1,2)(x)",
    ],
)
def test_what_is_not_written_like_a_box_is_none(text):
    answer = parse(text)
    assert answer.boxes == () and answer.problems == () and count_boxes(text) == 0


def test_the_same_numbers_on_another_scale_are_reported_for_every_dialect():
    # One notation, three scales: only the declared one decides.
    text = "[[38,62,87,81]]"
    assert corners(parse(text, box_scale=100).boxes) == [(380, 620, 870, 810)]
    assert corners(parse(text, box_scale=1000).boxes) == [(38, 62, 87, 81)]
    assert parse(text, box_scale=1).boxes == ()


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_no_scale_is_the_callers_mistake(scale):
    with pytest.raises(ValueError, match="must be a positive number"):
        parse("[[1,2,3,4]]", box_scale=scale)


def test_a_thousand_broken_boxes_do_not_make_a_thousand_sentences():
    answer = parse("[[9,9,1,1]] " * 900)
    assert len(answer.problems) == 13
    assert answer.problems[-1] == "888 more boxes have problems."


@pytest.mark.parametrize(
    "found, text",
    [
        ([], ""),
        ([Box(1, 2, 3, 4)], "[[1,2,3,4]]"),
        ([Box(1.4, 2.6, 300, 400), Box(5, 6, 7, 8)], "[[1,3,300,400],[5,6,7,8]]"),
        ([Box(10.1, 5, 10.3, 9)], "[[10,5,11,9]]"),  # thinner than a unit
        ([Box(999.8, 5, 1000, 9)], "[[999,5,1000,9]]"),  # and at the edge
    ],
)
def test_boxes_are_written_so_that_they_can_be_read(found, text):
    assert format_boxes(found) == text
    assert len(parse(text).boxes) == len(found)


def test_random_boxes_come_back():
    rng = random.Random(0)
    for _ in range(500):
        x1, y1 = rng.uniform(0, 999), rng.uniform(0, 999)
        box = Box(x1, y1, rng.uniform(x1, 1000), rng.uniform(y1, 1000))
        (back,) = parse(format_boxes([box])).boxes
        assert all(abs(a - b) <= 1 for a, b in zip(corners([box])[0], corners([back])[0]))


# --- steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reasoning, steps",
    [
        ("", ()),
        ("  \n\n ", ()),
        ("One thing", ("One thing",)),
        # sentences
        ("I see water. It is held by a wall.", ("I see water.", "It is held by a wall.")),
        ("Is it a dam? Yes! It is.", ("Is it a dam?", "Yes!", "It is.")),
        ("Let me think... I see it.", ("Let me think...", "I see it.")),
        ('It says "dam." Then water.', ('It says "dam."', "Then water.")),
        ("(It is small.) It is red.", ("(It is small.)", "It is red.")),
        ("There are 2. The road is one.", ("There are 2.", "The road is one.")),
        ("The answer is B. The road is grey.", ("The answer is B.", "The road is grey.")),
        ("So the answer is no. There is no dam.", ("So the answer is no.", "There is no dam.")),
        # decimals
        ("It is 0.5 m wide. It is 1.25 km long.", ("It is 0.5 m wide.", "It is 1.25 km long.")),
        ("The box is [0.381,0.625]. Done.", ("The box is [0.381,0.625].", "Done.")),
        # abbreviations and initials
        ("Roads, e.g. Highway 5, are wide.", ("Roads, e.g. Highway 5, are wide.",)),
        ("It is approx. 12 m wide, i.e. Large.", ("It is approx. 12 m wide, i.e. Large.",)),
        ("See fig. 3 and no. 5 there.", ("See fig. 3 and no. 5 there.",)),
        ("Ships, planes, etc. are seen.", ("Ships, planes, etc. are seen.",)),
        ("It is in the U.S. Army base.", ("It is in the U.S. Army base.",)),
        ("It lies in the U.S. There is snow.", ("It lies in the U.S.", "There is snow.")),
        # one letter is more often a choice than an initial
        ("I take option A. Also it is red.", ("I take option A.", "Also it is red.")),
        # lines and lists, without their markers
        ("First line\nSecond line", ("First line", "Second line")),
        ("1. Look at it.\n2. It is red.", ("Look at it.", "It is red.")),
        ("1. Look at it. 2. It is red.", ("Look at it.", "It is red.")),
        ("1) Look\n2) See", ("Look", "See")),
        ("- water\n* wall\n\u2022 road", ("water", "wall", "road")),
        ("Step 1: Look. Step 2: See.", ("Look.", "See.")),
        ("1.\n2. See", ("See",)),
        # other scripts
        (
            "\u8fd9\u662f\u6c34\u575d\u3002\u65c1\u8fb9\u6709\u8def\u3002",
            ("\u8fd9\u662f\u6c34\u575d\u3002", "\u65c1\u8fb9\u6709\u8def\u3002"),
        ),
    ],
)
def test_split_steps(reasoning, steps):
    assert split_steps(reasoning) == steps


# --- totality and time ----------------------------------------------------------------------------------

PIECES = [
    "<reasoning>", "</reasoning>", "<answer>", "</answer>", "<", "</", "<|box_start|>", "<bbox>", "[[", "]]",
    "[", "]", "(", ")", "{<", ">}", "|<", "1,2", "3.5", "-1", "nan", "inf", "1e9", " ", "\n", ".", ". A",
    "\x00", "\ud800", "\u200b", "\u3002", "dam", "<|im_end|>", ",", "\U0001f600", "\u0661\u0662",
]  # fmt: skip


def test_no_text_makes_it_raise():
    rng = random.Random(1)
    for _ in range(4000):
        text = "".join(rng.choices(PIECES, k=rng.randrange(1, 30)))
        for dialect in DIALECTS:
            answer = parse(
                text,
                dialect=dialect,
                thinking=rng.choice([None, True, False]),
                finished=rng.random() < 0.5,
                truncated=rng.random() < 0.2,
            )
            assert answer.raw == text
            for box in answer.boxes + answer.reasoning_boxes:
                assert 0 <= box.x1 < box.x2 <= 1000.01 and 0 <= box.y1 < box.y2 <= 1000.01
            assert all(answer.reasoning), "no step is empty"


@pytest.mark.parametrize(
    "piece",
    [
        *"[({<.,-1 \n\u200b\u3002",
        "[[", "(1,2),", "(1,2)      ", "[1,2,3,4]", "[[1,", "[1 2", "[" + "1" * 159, "{<1>",
        "{<" + "1" * 32 + ">", "<reasoning>", "</reasoning>", "<answer>x", "<reasoning>a</reasoning>", "<|",
        "<p>a</p>[1,2,3,4]", "e.g. ", "a. ", "1. ", "A.", " (", "<bbox>", "1" * 1000 + ",",
    ],
)  # fmt: skip
@pytest.mark.parametrize("finished", [True, False])
def test_a_megabyte_takes_less_than_a_second(piece, finished):
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    # What other tests left on the heap is theirs: walking it again and again is not the parser's time.
    gc.collect()
    gc.freeze()
    try:
        for start in ("", "<reasoning>", "<reasoning>r</reasoning><answer>"):
            assert least(lambda: parse(start + text, finished=finished, truncated=True), 1) < 1
    finally:
        gc.unfreeze()
