"""Several questions about one picture in one row: each is asked as if it were alone, and the picture is read once."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from tinyrs.example import Question, Task
from tinyrs.loading import load_processor
from tinyrs.prompt import messages
from training.checkpoint import open_network
from training.recipe import BadRecipe
from training.sft import Collator, apart

ASKED = (
    ("Is there a ship in the image?", "yes"),
    ("How many ships can you see in the image?", "3"),
    ("Identify the location of the leftmost ship.", "[[100,200,300,400]]"),
)


def part(text: str, answer: str) -> dict:
    said = [{"role": "assistant", "content": [{"type": "text", "text": answer}]}]
    return {"prompt": messages(Question(text, Task.VQA), thinking=False), "completion": said}


def row(size: tuple[int, int], asked=ASKED) -> dict:
    first, *others = (part(*each) for each in asked)
    return {"image": Image.effect_noise(size, 90).convert("RGB"), **first, "others": others}


@pytest.fixture(scope="module")
def parts(untrained):
    network = open_network(untrained, "eager").eval()
    network.model.language_model.register_forward_pre_hook(apart, with_kwargs=True)
    return network, Collator(load_processor(untrained))


def losses(network, batch: dict) -> torch.Tensor:
    """Of each token with a label, its loss."""
    labels = batch["labels"][:, 1:]
    with torch.no_grad():
        logits = network(**{name: each for name, each in batch.items() if name != "labels"}).logits[:, :-1]
    told = labels != -100
    return torch.nn.functional.cross_entropy(logits[told].float(), labels[told], reduction="none")


def test_each_answer_costs_what_it_costs_alone(parts):
    network, collate = parts
    wide, square = row((300, 140)), row((150, 150), ASKED[1:])
    alone = [
        losses(network, collate([{"image": each["image"], **one}]))
        for each in (wide, square)
        for one in ({"prompt": each["prompt"], "completion": each["completion"]}, *each["others"])
    ]
    together = losses(network, collate([wide, square]))
    assert torch.allclose(together, torch.cat(alone), atol=2e-5)
    assert len({round(float(each.mean()), 4) for each in alone}) == 5


def test_without_the_mask_they_would_read_each_others_answers(parts):
    network, collate = parts
    batch = collate([row((150, 150))])
    batch.pop("segments")
    apart_ = losses(network, collate([row((150, 150))]))
    assert not torch.allclose(losses(network, batch), apart_, atol=1e-3)


def test_the_picture_is_read_once_and_a_batch_of_single_questions_is_as_it_was(parts):
    _, collate = parts
    batch = collate([row((300, 140))])
    assert batch["image_grid_thw"].shape[0] == 1
    rows, columns = (int(side) // 2 for side in batch["image_grid_thw"][0, 1:])
    assert int(batch["mm_token_type_ids"].sum()) == rows * columns
    assert set(collate([row((300, 140), ASKED[:1])])) == set(batch) - {"segments", "position_ids"}


def test_positions_are_those_of_the_model_itself(parts):
    network, collate = parts
    batch = collate([row((300, 140)), row((150, 150), ASKED[:1])])
    single = collate([row((300, 140), ASKED[:1]), row((150, 150), ASKED[:1])])
    wanted, _ = network.model.get_rope_index(
        single["input_ids"], single["mm_token_type_ids"], single["image_grid_thw"],
        attention_mask=single["attention_mask"],
    )  # fmt: skip
    for i, length in enumerate(single["attention_mask"].sum(1).tolist()):
        assert torch.equal(batch["position_ids"][:, i, :length], wanted[:, i, :length])


def test_another_system_prompt_cannot_share_a_picture(parts):
    _, collate = parts
    mixed = row((150, 150))
    mixed["others"][0]["prompt"] = messages(Question(ASKED[1][0], Task.VQA), thinking=True)
    with pytest.raises(BadRecipe, match="must begin with the same words"):
        collate([mixed])
