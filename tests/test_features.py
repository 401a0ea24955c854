"""Views that the tower has read once: the same to the language model as the pictures themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinyrs.example import Box
from tinyrs.loading import load_processor
from training.checkpoint import open_network
from training.pocket.features import Features, FeaturesProcessor, handed_on, read
from training.pocket.pictures import Known, drawn
from training.pocket.rows import VariedRows
from training.pocket.views import View, view_of
from training.sft import Collator, apart

MIXTURE = {"classify": 0.3, "locate": 0.7}


@pytest.fixture(scope="module")
def model(untrained):
    return open_network(untrained).eval()


@pytest.fixture(scope="module")
def processor(untrained):
    return load_processor(untrained)


def test_answers_about_features_are_those_about_the_picture(model, processor):
    rows = VariedRows(drawn(range(6)), MIXTURE, 8, False, 3, together=4)
    views = read(model, processor, rows, 5)
    assert len(views) == 5 and all(isinstance(view, View) and isinstance(view.pixels, Features) for view in views)
    # The same questions about the picture and about what was kept of it. Wide and high ones have been read together.
    hook = model.model.language_model.register_forward_pre_hook(apart, with_kwargs=True)
    for index in range(5):
        view = next(
            each
            for each in views
            if each.boxes == rows.view(index).boxes and each.label == rows.view(index).label
        )
        asked = rows.questions(index)
        chat = rows.side_by_side(asked)
        kept = chat | {"image": view.pixels}
        plain, short = Collator(processor)([chat]), Collator(FeaturesProcessor(processor))([kept])
        assert torch.equal(plain["input_ids"], short["input_ids"])
        with torch.no_grad():
            pictures = handed_on(model.model.visual, short.pop("features").float(), short["image_grid_thw"])
            one = model(**plain).loss
            hidden = model.model(
                **{k: v for k, v in short.items() if k != "labels"}, mm_encoder_outputs=pictures
            )
            two = model.loss_function(
                model.lm_head(hidden.last_hidden_state), short["labels"], model.lm_head.out_features
            )
        assert two.item() == pytest.approx(one.item(), abs=2e-2)  # 16 bits
    hook.remove()


def test_a_view_carries_what_its_questions_may_ask_and_no_more():
    known = Known(
        np.zeros((60, 60, 3), np.uint8), "drawn", "port", ("A port.",), (Box(300, 300, 500, 450, "ship"),), True, (("Is there a road?", "yes", "presence"),)
    )  # fmt: skip
    rng = np.random.default_rng(0)
    scene, objects, published = (view_of(known, rng, name) for name in ("classify", "locate", "published"))
    assert (
        scene.label == "port"
        and scene.captions
        and not scene.boxes
        and not scene.questions
        and not scene.complete
    )
    assert objects.boxes and not objects.label and not objects.captions and not objects.questions
    assert published.questions and not published.boxes and not published.label and not published.complete
