"""Findings where something is wrong, and silence where nothing is: by case, and as rates."""

import json
import random

import pytest

from bench import checks as bench
from tests.broken_captions import BROKEN
from tests.captions import KINDS, Caption
from tests.clock import least
from tests.written_captions import BY_HAND, hard, natural, unseen
from tinyrs.checks import CHECKS, check
from tinyrs.example import Box, Question, Task
from tinyrs.prompt import guess_task

DAM = (
    "User wants me to identify the location of a gray dam in this aerial or satellite image. The dam "
    "should be a linear structure located in the center of the image. Looking at the bottom part of "
    "the image, there is a long, straight, grayish structure that looks like a dam. No other similar "
    "structures are visible in the image, so the most likely answer is this structure. The bounding "
    "box for this dam is approximately from the left-center to the right-center horizontally and "
    "covering the narrow strip between the two water bodies. The coordinates for this bounding box "
    "would start around the left side near 381 pixels horizontally and {} pixels vertically, "
    "extending to about 878 pixels horizontally and 811 pixels vertically."
)


def names(*args, **kwargs):
    return {finding.check for finding in check(*args, **kwargs)}


def names_of(caption: Caption):
    return names(
        caption.question,
        caption.reasoning,
        caption.answer,
        boxes=caption.boxes,
        given=caption.given,
        size=caption.size,
    )


# --- the paper's Figure 2 -------------------------------------------------------------------------------


def test_the_gray_dam_of_figure_2_is_caught():
    question = Question("Identify the location of a gray dam.", Task.GROUNDING)
    answer = "[0.381,0.625,0.876,0.811]"
    (finding,) = check(question, DAM.format(825), answer, box_scale=1)
    assert finding.check == "numbers"
    assert "[381, 625, 876, 811]" in finding.sentence
    # with the number that the box has, nothing is wrong
    assert check(question, DAM.format(625), answer, box_scale=1) == ()
    # and it is caught whatever the size of the picture
    assert names(question, DAM.format(825), answer, box_scale=1, size=(800, 800)) == {"numbers"}


@pytest.mark.parametrize(
    "question, reasoning, answer",
    [
        (
            "Classify the image within one of the given classes: airplane, desert, ship, airport, "
            "forest, mountain, highway, overpass, bridge, intersection, road, parking lot.",
            "User asks me to classify this image. Let me carefully analyze the image. I see a top-"
            "down aerial view showing a network of roads converging at a central point. This strongly"
            " suggests this is a road intersection rather than a freeway, overpass, or roundabout, "
            "which have different structural layouts. It is not an airport, ship, or forest. The "
            "image is a top-down view, so there are no visible trees or mountains. The network with "
            "vehicles and buildings, so the best fitting class from the list is intersection.",
            "intersection",
        ),
        (
            "How many overpasses can you see in the image?",
            "User asks me how many overpasses can be seen in the image. There are two separate bridge"
            " structures crossing over the horizontal road. This means there are two overpasses here,"
            " each containing one bridge. There are no other visible overpasses in the image. The "
            "other roads intersect at ground level. Therefore, the total number of overpasses visible"
            " in the image is two.",
            "2",
        ),
        (
            "What type of transportation can be observed in the image?",
            "User asks me what types of transportation can be observed in the image. The vehicles are"
            " mostly sedans, which are moving or parked, confirming that cars are also a mode of "
            "transportation in this area. This suggests that both trains and cars serve as major "
            "modes of transportation.",
            "Both trains and cars serve as transportation means in the city.",
        ),
    ],
)
def test_the_other_samples_of_figure_2_are_sound(question, reasoning, answer):
    task, labels = guess_task(question)
    assert check(Question(question, task, labels), reasoning, answer) == ()


# --- by hand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question, reasoning, answer, wrong", BY_HAND)
def test_captions_written_by_hand(question, reasoning, answer, wrong):
    task, labels = guess_task(question)
    asked = Question(question, task, labels)
    assert check(asked, reasoning, answer) == ()
    assert names(asked, reasoning, wrong) & {"contradiction", "counts", "numbers"}


@pytest.mark.parametrize("check", ["", *CHECKS])
def test_captions_written_to_slip_through(check):
    for caption, finds in hard():
        if finds == check:
            found = names_of(caption)
            told = f"{caption.question.text[:80]} | {caption.reasoning} | {caption.answer} | {found}"
            assert finds in found if finds else not found, told
    wrong = [caption for caption, finds in hard(missed=True) if finds == check]
    for caption in wrong:
        found = names_of(caption)
        assert check not in found if check else found, f"no longer missed: {caption.reasoning}"
    assert len(wrong) <= 0.05 * (len(wrong) + sum(finds == check for _, finds in hard()))


# --- one comment per case ---------------------------------------------------------------------------------

SOUND = "I see two long runways and a terminal with planes in front of it. So the scene is an airport."
CLASSES = ("airport", "port", "beach")


@pytest.mark.parametrize(
    "wrong, reasoning, answer",
    [
        (None, SOUND, "airport"),
        # format
        ("format", "", "airport"),
        ("format", "  \n", "airport"),
        ("format", SOUND, ""),
        ("format", SOUND, "."),
        ("format", SOUND + " </reasoning> <answer> port", "airport"),  # a tag inside
        ("format", SOUND + " <|im_end|>", "airport"),
        ("format", SOUND, "<answer>airport</answer>"),
        ("format", SOUND + " The next thing is the", "airport"),  # breaks off
        ("format", "reasoning process here", "answer here"),  # the system prompt's own words
        (None, "1 < 2 is clear. " + SOUND, "airport"),
        # label
        ("label", SOUND, "volcano"),
        ("label", SOUND, "airport and port"),
        ("label", SOUND, "This is an airport"),
        (None, SOUND, "An airport."),
        # contradiction
        ("contradiction", SOUND, "port"),
        ("contradiction", "It is not a port. The runways fit airport best of all the classes.", "port"),
        (None, "It could be a port at first sight. But there is no water, so it is an airport.", "airport"),
        (None, "This is an airport rather than a port or a beach, since planes are parked here.", "airport"),
        # leak
        ("leak", "The given answer is airport, so I look for runways in the image. " + SOUND, "airport"),
        ("leak", SOUND + " This agrees with the ground truth.", "airport"),
        ("leak", SOUND + " I was told that it is an airport.", "airport"),
        ("leak", SOUND + " The metadata confirms it.", "airport"),
        (
            None,
            "The given classes include port. In the provided image there is no water. " + SOUND,
            "airport",
        ),
        (None, SOUND + " So the correct answer is airport.", "airport"),
        # language
        ("language", SOUND + " \u8fd9\u662f\u673a\u573a\u3002", "airport"),
        ("language", SOUND + " Hay muchos aviones en el aeropuerto.", "airport"),
        ("language", SOUND + " It\u00e2\u20ac\u2122s an airport.", "airport"),
        (
            None,
            SOUND + " The Champs-\u00c9lys\u00e9es and the Stra\u00dfe are far away from here.",
            "airport",
        ),
        (None, SOUND + " Each pixel covers 0.5 m\u00b2, with \u03c3 \u2248 2.", "airport"),
        # length
        ("length", "An airport.", "airport"),
        ("length", SOUND + " word" * 700, "airport"),
        # repetition
        (
            "repetition",
            SOUND + " I see two long runways and a terminal with planes in front of it.",
            "airport",
        ),
        (
            "repetition",
            SOUND + " And I see two long runways and a terminal with planes in front of it.",
            "airport",
        ),
        (
            "repetition",
            SOUND + " It is near the road that is" + " near the road that is" * 8 + " long.",
            "airport",
        ),
        (
            None,
            "One plane is at 100 across and 20 down. One plane is at 300 across and 80 down. " + SOUND,
            "airport",
        ),
    ],
)
def test_what_is_found_in_a_classification(wrong, reasoning, answer):
    question = Question("Which class?", Task.CLASSIFICATION, CLASSES)
    found = names(question, reasoning, answer)
    assert wrong in found if wrong else not found


@pytest.mark.parametrize(
    "question, reasoning, answer, wrong",
    [
        ("Is there a dam?", "I look everywhere at the water. There is no dam visible in it.", "no", False),
        ("Is there a dam?", "I look everywhere at the water. There is no dam visible in it.", "yes", True),
        ("Is there a dam?", "There is no doubt that the wall across the river is a dam.", "yes", False),
        ("Is there a dam?", "I see no ships, but across the river there is clearly a dam.", "yes", None),
        ("Is a dam present?", "There is a river and a wall across it. So yes, it is present.", "no", True),
        ("Is a dam present?", "There is a river and a wall. Therefore, the answer is no.", "yes", True),
        # comparisons: by counts, by words, and both ways round
        (
            "Are there more roads than ponds?",
            "I count 3 roads and 5 ponds in the whole image here.",
            "yes",
            True,
        ),
        (
            "Are there more roads than ponds?",
            "I count 5 roads and 3 ponds in the whole image here.",
            "yes",
            False,
        ),
        (
            "Are there less roads than ponds?",
            "All in all there are fewer roads than ponds in the image.",
            "no",
            True,
        ),
        (
            "Are there less roads than ponds?",
            "All in all the ponds outnumber the roads in this image.",
            "yes",
            False,
        ),
        (
            "Is the number of roads equal to the number of ponds?",
            "There are two roads. There are also two ponds, so the numbers are equal.",
            "no",
            True,
        ),
        # nothing is concluded: nothing is said
        ("Is there a dam?", "Let me look at the picture for a while and think about water.", "no", None),
    ],
)
def test_yes_or_no_against_the_reasoning(question, reasoning, answer, wrong):
    found = names(Question(question, Task.VQA), reasoning, answer)
    if wrong is not None:
        assert ("contradiction" in found) == wrong
    assert found <= {"contradiction"}


@pytest.mark.parametrize(
    "reasoning, answer, wrong",
    [
        ("I see three ships near the pier, and one more at sea, making four in total.", "4", False),
        ("I see three ships near the pier, and one more at sea, making four in total.", "3", True),
        ("There are two ships in the harbor, each with one mast. There are no other ships.", "2", False),
        ("There are two ships in the harbor, each with one mast. There are no other ships.", "1", True),
        ("The harbor is empty today. There are no ships in the whole image at all.", "0", False),
        ("The harbor is empty today. There are no ships in the whole image at all.", "2", True),
        ("The road has four lanes and the resolution is 0.5 m. I count twelve ships.", "12", False),
        ("Therefore, the total number of ships that are visible in the image is 21.", "twenty-one", False),
        ("I look at the water for a long time and think about its colour.", "2", False),  # no count is told
    ],
)
def test_counts_against_the_reasoning(reasoning, answer, wrong):
    question = Question("How many ships can you see in the image?", Task.COUNTING)
    assert names(question, reasoning, answer) == ({"counts"} if wrong else set())


@pytest.mark.parametrize(
    "told, size, wrong",
    [
        ("So the bounding box is [[200, 300, 600, 700]].", (0, 0), False),
        ("So the bounding box is about [[210, 290, 610, 690]].", (0, 0), False),
        ("So the bounding box is [[200, 300, 600, 400]].", (0, 0), True),
        ("So the bounding box is [0.2, 0.3, 0.6, 0.7].", (0, 0), False),  # another scale, the same place
        ("So the bounding box is [100, 150, 300, 350] in pixels.", (500, 500), False),
        ("So the bounding box is [100, 150, 300, 350] in pixels.", (600, 400), True),
        ("It runs from (200, 300) to (600, 700) in the picture.", (0, 0), False),
        ("It runs from (200, 300) to (600, 900) in the picture.", (0, 0), True),
        ("It is centered at (400, 500) in the picture.", (0, 0), False),
        ("It is centered at (800, 500) in the picture.", (0, 0), True),
        ("It extends from 20% to 60% horizontally and from 30% to 70% vertically.", (0, 0), False),
        ("It extends from 40% to 60% horizontally and from 30% to 70% vertically.", (0, 0), True),
        ("Its left edge is at 200 and the bottom is at 700.", (0, 0), False),
        ("Its left edge is at 300 and the bottom is at 700.", (0, 0), True),
        ("It starts at 700 vertically and ends at 300 vertically.", (0, 0), True),  # runs backwards
        ("It is 400 wide and 400 high in these units.", (0, 0), False),
        ("It is 100 wide and 400 high in these units.", (0, 0), True),
        # of several things, one is enough; other things do not matter
        ("I see two tanks: one at 400 across and 500 down; one at 900 across and 50 down.", (0, 0), False),
        ("I see two tanks: one at 700 across and 100 down; one at 900 across and 50 down.", (0, 0), True),
        ("Another tank lies at (900, 50), which is not the largest one.", (0, 0), False),
        # numbers that are no coordinates
        ("The road beside it has 4 lanes, and the tank is 12 m high at 0.5 m per pixel.", (0, 0), False),
        # words
        ("The tank is located in the middle of the image.", (0, 0), False),
        ("The tank is located to the left of the road.", (0, 0), False),
    ],
)
def test_numbers_against_the_box(told, size, wrong):
    question = Question("Identify the location of the largest tank.", Task.GROUNDING)
    reasoning = f"I look for round shapes with shadows in the image. {told}"
    found = names(question, reasoning, "[[200,300,600,700]]", size=size)
    assert found == ({"numbers"} if wrong else set())


@pytest.mark.parametrize(
    "told, wrong",
    [
        ("The tank is located in the lower right part of the image.", False),
        ("The tank is located in the upper left part of the image.", True),
        ("It can be found at the top of the image.", True),
        ("A road is visible in the upper left part of the image. The tank lies beside a fence.", False),  # something else
        ("The tank is located on the left side of the road.", False),  # relative
        ("Another tank is visible in the upper left corner.", False),
    ],
)
def test_places_in_words_against_the_box(told, wrong):
    question = Question("Identify the location of the tank.", Task.GROUNDING)
    found = names(question, f"I look for round shapes with long shadows. {told}", "[[700,700,900,900]]")
    assert found == ({"numbers"} if wrong else set())


@pytest.mark.parametrize(
    "answer, given, wrong",
    [
        ("yes", "Yes.", False),
        ("yes", "no", True),
        ("yes", "", False),  # nothing is given
    ],
)
def test_the_given_answer(answer, given, wrong):
    question = Question("Is a dam present?", Task.VQA)
    reasoning = "A long wall crosses the river and holds the water back behind it."
    assert ("given" in names(question, reasoning, answer, given=given)) == wrong


def test_a_box_that_cannot_be_used_is_named_in_its_own_words():
    question = Question("Identify the location of the tank.", Task.GROUNDING)
    (finding,) = check(question, "I look for round shapes with long shadows in it.", "[[600,300,200,700]]")
    assert finding.sentence == "x1 and x2 are the wrong way round: [600,300,200,700]"
    (finding,) = check(question, "I look for round shapes with long shadows in it.", "at the top")
    assert finding.sentence == "The question asks for a place, and the answer holds no box."


def test_several_boxes_may_each_be_meant():
    question = Question("Identify the location of all tanks.", Task.GROUNDING)
    boxes = (Box(0, 0, 100, 100), Box(500, 500, 700, 700))
    said = "I see two tanks: one at 50 across and 50 down; one at 600 across and 600 down."
    assert check(question, said, "[[0,0,100,100],[500,500,700,700]]", boxes=boxes) == ()


# --- rates ----------------------------------------------------------------------------------------------


def test_at_most_one_sound_caption_in_twenty_raises_a_finding():
    rng = random.Random(7)
    for kind in KINDS:
        alarms = sum(bool(names_of(kind(rng))) for _ in range(150))
        assert alarms / 150 <= 0.05, kind.__name__


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name, ways in BROKEN.items() for way in ways],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_at_least_nineteen_of_twenty_broken_captions_are_found(name, way):
    rng = random.Random(11)
    assert sum(name in names_of(way(rng)) for _ in range(200)) / 200 >= 0.95


def test_captions_made_from_true_boxes_are_hardly_doubted_and_the_bench_counts_both_kinds(capsys):
    assert bench.main(["--count", "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    true = [kind for kind in told["sound"] if kind["kind"].endswith(", drawn")]
    assert {"locate, drawn", "count, drawn", "classify, drawn"} <= {kind["kind"] for kind in true}
    assert all(kind["alarms"] <= 0.05 for kind in told["sound"])
    assert {way["check"] for way in told["broken"]} == set(CHECKS) == set(told["precision"])
    assert all(way["recall"] >= 0.95 for way in told["broken"])
    assert all(share >= 0.95 for share in told["precision"].values())


def test_there_is_a_way_to_break_every_check():
    assert set(BROKEN) == set(CHECKS)


def test_captions_of_a_writer_who_knew_nothing_of_the_checks():
    judged = [(finds, names_of(caption)) for caption, finds in unseen()]

    def share(finds: str, right) -> float:
        return sum(right(found) for wanted, found in judged if wanted == finds) / sum(wanted == finds for wanted, _ in judged)

    assert share("leak", lambda found: "leak" in found) >= 0.95
    assert share("numbers", lambda found: "numbers" in found) >= 0.8  # places in words
    assert share("", bool) <= 0.06


@pytest.mark.parametrize(
    ("finds", "least"),
    [("counts", 0.95), ("contradiction", 0.9), ("repetition", 0.75), ("numbers", 0.85)],
)
def test_captions_that_others_wrote_without_traps(finds, least):
    judged = [names_of(caption) for lot in range(1, 8) for caption, wanted in natural(lot) if wanted == finds]
    assert len(judged) >= 100 or finds == "counts" and len(judged) >= 70
    assert sum(finds in found for found in judged) / len(judged) >= least


def test_sound_captions_that_others_wrote_are_hardly_doubted():
    judged = [names_of(caption) for lot in range(1, 8) for caption, wanted in natural(lot) if not wanted]
    assert len(judged) >= 360 and sum(map(bool, judged)) / len(judged) <= 0.04


# --- totality and time ----------------------------------------------------------------------------------

PIECES = (
    "the ", "answer ", "is ", "no ", "left ", "from 1 to 2 ", "horizontally ", "[[1,2,3,4]] ", "(1,2) ", ". ",
    "\n", "not a port ", "airport ", "two ", "more roads than ponds ", "\x00", "\ud800", "\u6865", "yes",
    "B. ", "{VG}", "[[",
)  # fmt: skip
QUESTIONS = (
    Question("Is there a bridge?", Task.VQA),
    Question("Are there more roads than ponds?", Task.VQA),
    Question("Identify the location of a bridge.", Task.GROUNDING),
    Question("How many?", Task.COUNTING),
    Question("Which class?", Task.CLASSIFICATION, CLASSES),
    Question("Q?\nChoices: A. a bridge B. a port", Task.OPEN, ("A", "B")),
    Question("", Task.OPEN, ("",)),
)


def test_no_text_makes_it_raise():
    rng = random.Random(3)
    for _ in range(1500):
        reasoning, answer, given, extra = (
            "".join(rng.choices(PIECES, k=rng.randrange(25))) for _ in range(4)
        )
        question = rng.choice(QUESTIONS)
        if rng.random() < 0.2:
            question = Question(extra, question.task, question.labels)
        for finding in check(question, reasoning, answer, given=given, size=rng.choice([(0, 0), (10, 10)])):
            assert finding.check in CHECKS and finding.sentence


@pytest.mark.parametrize(
    "piece", ["left is ", "is not a bridge ", "[1,2,3,4] ", "1 ", "upper left ", "a", " ", "A. "]
)
def test_two_megabytes_take_less_than_two_seconds(piece):
    text = piece * (1_000_000 // len(piece))
    for question in QUESTIONS:
        long = Question(text, question.task, question.labels)
        both = lambda: (check(question, text, "[[1,2,3,4]]"), check(long, "I see it.", text, given=text))  # noqa: E731
        assert least(both, 2) < 2
