"""Views of pictures as the tower hands them on: read once, so that the language model can be asked about them often.

The tower does not learn while the language model learns where things are, and reading a picture costs as much as a dozen
questions about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from PIL import Image

from training.pocket.eyes import pictures_of_one_size
from training.pocket.rows import VariedRows
from training.pocket.views import View

AT_ONCE = 64
"""Views that are read in one go."""


@dataclass(frozen=True, eq=False)
class Features:
    """What the tower made of a picture, before its merger: (patches, width), bfloat16; `grid` is time, height and width in
    patches. Stands in a row where its picture would."""

    patches: torch.Tensor
    grid: tuple[int, int, int]


@torch.no_grad()
def read(model, processor, rows: VariedRows, count: int, say: Callable[[str], None] = print) -> list[View]:
    """The views of the first `count` rows, with Features as their pixels."""
    tower, started, found = model.model.visual, time.monotonic(), []

    def prepare(start: int) -> list[tuple[View, torch.Tensor, tuple[int, int, int]]]:
        made = []
        for index in range(start, min(count, start + AT_ONCE)):
            view = rows.view(index)
            seen = processor.image_processor(images=[Image.fromarray(view.pixels)], return_tensors="pt")
            made.append((view, seen["pixel_values"].bfloat16(), tuple(seen["image_grid_thw"][0].tolist())))
        return made

    with ThreadPoolExecutor(1) as aside, pictures_of_one_size():
        coming = aside.submit(prepare, 0)
        for start in range(0, count, AT_ONCE):
            made, coming = coming.result(), aside.submit(prepare, start + AT_ONCE)
            for grid in {grid for *_, grid in made}:
                alike = [each for each in made if each[2] == grid]
                for some in (alike[i : i + 16] for i in range(0, len(alike), 16)):
                    with torch.autocast("cpu", torch.bfloat16):
                        seen = tower(torch.cat([each[1] for each in some]), torch.tensor([grid] * len(some)))
                    patches = seen.last_hidden_state.bfloat16().chunk(len(some))
                    found += [
                        replace(view, pixels=Features(own.clone(), grid))
                        for (view, *_), own in zip(some, patches, strict=True)
                    ]
            if start // AT_ONCE % 25 == 24:
                say(f"features: {len(found):,} of {count:,} views, {time.monotonic() - started:.0f} s")
    return found


class FeaturesProcessor:
    """`processor` for rows whose pictures are Features; a batch holds their patches as "features"."""

    def __init__(self, processor):
        self.processor = processor

    def __getattr__(self, name: str):
        return getattr(self.processor, name)

    def __call__(self, text: Sequence[str], images: Sequence[Sequence[Features]], **settings) -> dict:
        token, merge = self.processor.image_token, self.processor.image_processor.merge_size
        pictures = [picture for (picture,) in images]
        spread = [
            asked.replace(token, token * (picture.grid[1] * picture.grid[2] // merge**2), 1)
            for asked, picture in zip(text, pictures, strict=True)
        ]
        batch = self.processor.tokenizer(spread, **settings)
        return {
            **batch,
            "mm_token_type_ids": (batch["input_ids"] == self.processor.image_token_id).long(),
            "image_grid_thw": torch.tensor([picture.grid for picture in pictures]),
            "features": torch.cat([picture.patches for picture in pictures]),
        }


def handed_on(tower, features: torch.Tensor, grids: torch.Tensor) -> dict:
    """Features of a batch -> what Qwen2-VL takes as `mm_encoder_outputs`, through the tower's merger."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    tokens = tower.merger(features).split((grids.prod(-1) // tower.config.spatial_merge_size**2).tolist())
    return {"image": BaseModelOutputWithPooling(pooler_output=tokens)}
