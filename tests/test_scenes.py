"""Drawn scenes repeat, boxes lie on what they name, and captions say nothing that is not there."""

import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tinyrs.example import Task
from tinyrs.prompt import guess_task
from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen
from training.pocket.drawing.layout import DRAWERS, NUMBERS
from training.pocket.pictures import OBJECTS
from training.pocket.scenes import CLASSES, GALLERY, LARGEST_FILE, draw, main, small_png
from training.pocket.texts import sample_texts

SEEDS = range(4)


@pytest.fixture(scope="module")
def scenes():
    """Four small scenes of every class."""
    return [draw(seed, 112, label) for label in CLASSES for seed in SEEDS]


def test_the_same_seed_gives_the_same_scene_and_another_seed_another():
    first, again, other = draw(5), draw(5), draw(6)
    assert np.array_equal(first.pixels, again.pixels)
    assert (first.label, first.captions, first.boxes) == (again.label, again.captions, again.boxes)
    assert not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize("size", [97, 224, 300])
def test_pictures_have_the_size_that_was_asked_for(size):
    pixels = draw(3, size).pixels
    assert pixels.shape == (size, size, 3) and pixels.dtype == np.uint8


def test_an_unknown_class_is_refused():
    with pytest.raises(KeyError):
        draw(0, label="moon")


def test_seeds_alone_reach_every_class():
    first = {CLASSES[int(np.random.default_rng(seed).integers(len(CLASSES)))] for seed in range(200)}
    assert first == set(CLASSES) and len(CLASSES) >= 12


def test_no_picture_is_flat_black_or_burnt_out(scenes):
    for scene in scenes:
        gray = scene.pixels.mean(axis=2)
        assert gray.std() > 3 and 20 < gray.mean() < 240, scene.label


def test_every_object_name_is_drawn_and_no_other(scenes):
    assert {box.label for scene in scenes for box in scene.boxes} == set(OBJECTS)


def test_boxes_lie_inside_the_frame_and_are_not_empty(scenes):
    for scene in scenes:
        for box in scene.boxes:
            assert 0 <= box.x1 < box.x2 <= 1000 and 0 <= box.y1 < box.y2 <= 1000, (scene.label, box)


def differs(colour, box):
    """Is what is painted in the box another mean colour than the rim around it, or of several colours?"""
    x1, y1, x2, y2 = (round(v) for v in box.to_pixels(*colour.size))
    seen = np.asarray(colour).astype(int)
    inside = seen[y1:y2, x1:x2]
    wider = seen[max(0, y1 - 6) : y2 + 6, max(0, x1 - 6) : x2 + 6]
    rim = (wider.sum((0, 1)) - inside.sum((0, 1))) / max(1, (wider.size - inside.size) / 3)
    return np.abs(inside.mean((0, 1)) - rim).sum() > 2 or inside.std((0, 1)).sum() > 6


@pytest.mark.parametrize("label", CLASSES)
def test_an_object_stands_out_in_its_box_and_nothing_is_painted_over_it(label, monkeypatch):
    """Looked at before light, air and camera: what was in a box when the object was drawn is still there."""
    then = []

    def look(pen, *args, **kwargs):
        note(pen, *args, **kwargs)
        box = pen.canvas.things[-1].box
        x1, y1, x2, y2 = box.to_pixels(*pen.canvas.colour.size)
        w, h = (x2 - x1) / 4, (y2 - y1) / 4  # the middle half: turned neighbours share the corners of boxes
        corners = [round(v) for v in (x1 + w, y1 + h, x2 - w, y2 - h)]
        then.append((box, corners, np.asarray(pen.canvas.colour.crop(corners))))

    note = Pen.thing
    monkeypatch.setattr(Pen, "thing", look)
    for seed in SEEDS:
        then.clear()
        canvas, _ = DRAWERS[label](np.random.default_rng(seed), 224)
        for box, corners, crop in then:
            assert differs(canvas.colour, box), (seed, box)
            now = np.asarray(canvas.colour.crop(corners))
            kept = (now == crop).all(axis=2).mean()
            assert kept > 0.75, (seed, box, kept)  # a car on a bridge, a crane over a ship


OBJECT_DRAWERS = {
    "airplane": lambda pen: things.airplane(pen, 60),
    "storage tank": lambda pen: things.storage_tank(pen, 20),
    "vehicle": lambda pen: things.vehicle(pen, 30, "red"),
    "ship": lambda pen: things.ship(pen, 50, "boat"),
    "tennis court": lambda pen: things.tennis_court(pen, 50, "blue"),
    "basketball court": lambda pen: things.basketball_court(pen, 50, "red"),
    "ground track field": lambda pen: things.ground_track_field(pen, 100),
}


@pytest.mark.parametrize("name", OBJECT_DRAWERS)
def test_boxes_are_tight_to_the_pixel(name):
    """On plain ground no side of a box is further than a pixel from painted pixels."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        canvas = Canvas(rng, 224, Material((1, 2, 3)))
        assert OBJECT_DRAWERS[name](canvas.root.at(*rng.uniform(-40, 40, 2).tolist(), rng.uniform(0, 6.28)))
        rows, columns = np.nonzero((np.asarray(canvas.colour) != (1, 2, 3)).any(axis=2))
        painted = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        (thing,) = canvas.things
        assert thing.box.label == name
        noted = thing.box.to_pixels(canvas.colour.width, canvas.colour.height)
        assert np.abs(np.array(painted) - noted).max() <= 2.5  # on the canvas: two to a pixel of the picture


@pytest.mark.parametrize("name", OBJECT_DRAWERS)
def test_an_object_that_does_not_fit_is_neither_drawn_nor_noted(name):
    canvas = Canvas(np.random.default_rng(0), 64, Material((1, 2, 3)))
    assert not OBJECT_DRAWERS[name](canvas.root.at(110, 0))
    assert not canvas.things and (np.asarray(canvas.colour) == (1, 2, 3)).all()


COUNTED = re.compile(
    r"\b(a|an|one|two|three|four|five|six|seven|eight|nine|ten|many) (?:\w+ )?("
    + "|".join(OBJECTS)
    + r")(s?)\b(?=.*(?: is | are | can be seen|\.$))"
)


def test_captions_count_what_the_boxes_hold(scenes):
    checked = 0
    for scene in scenes:
        held = Counter(box.label for box in scene.boxes)
        for caption in scene.captions:
            for word, name, plural in COUNTED.findall(caption):
                checked += 1
                if word == "many":
                    assert held[name] > 10, caption
                elif word in NUMBERS:
                    assert held[name] == NUMBERS.index(word) and plural, caption
                else:
                    assert held[name] >= 1 and not plural, caption
            for word in re.findall(r"(\w+) piers reach", caption):
                assert held["harbor"] == NUMBERS.index(word), caption
    assert checked > 20


def test_captions_are_two_or_three_plain_sentences(scenes):
    for scene in scenes:
        assert 2 <= len(scene.captions) <= 3 and len(set(scene.captions)) == len(scene.captions)
        for caption in scene.captions:
            assert re.fullmatch(r"[a-z][a-z ,-]*\.", caption), caption


def test_colours_named_with_objects_are_the_colours_they_were_painted_in():
    for seed in range(30):
        canvas, sentences = DRAWERS["airport"](np.random.default_rng(seed), 56)
        painted = {thing.colour for thing in canvas.things if thing.box.label == "airplane"}
        for colour in re.findall(r"(white|gray) airplane", " ".join(sentences)):
            assert painted == {colour}


def test_the_gallery_holds_small_pictures_of_its_classes_and_questions_of_its_tasks(tmp_path):
    assert main(["--out", str(tmp_path / "new"), "--seed", "0"]) == 0
    rows = json.loads((tmp_path / "new" / "examples.json").read_text())
    assert len(rows) == len(GALLERY) == len({row["file"] for row in rows}) == 6
    for row in rows:
        path = tmp_path / "new" / row["file"]
        assert path.stat().st_size <= LARGEST_FILE
        with Image.open(path) as image:
            assert image.size == (512, 512)
        assert guess_task(row["question"])[0] is Task(row["task"])


def test_a_picture_that_does_not_shrink_loses_colours_until_it_does():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    content = small_png(noise, 35_000)
    assert len(content) <= 35_000
    assert Image.open(io.BytesIO(content)).size == (200, 200)


@pytest.mark.parametrize("arguments", [[], ["--out", "x", "--seed", "-1"], ["--out", "x", "--sheet", "y"]])
def test_a_wrong_command_ends_with_2_and_a_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and "error" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path / "file" / "below")])
    assert end.value.code == 2 and "Cannot write" in capsys.readouterr().err


def test_texts_repeat_and_hold_what_the_pair_must_read_and_write():
    texts = sample_texts()
    assert texts == sample_texts() and len(texts) == 400 and len(set(texts)) > 250
    everything = "\n".join(texts)
    for piece in ("{CLS}", "{VG}", "[[", "<reasoning>", "</answer>", "rural or an urban", *CLASSES, *OBJECTS):
        assert piece in everything, piece


def test_fewer_texts_are_the_first_of_more():
    assert sample_texts(10) == sample_texts(30)[:10]
