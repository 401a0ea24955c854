"""A picture that a batch holds several times is looked at once: a group of answers shares it, and so does a pair."""

from __future__ import annotations

import functools
import inspect
import math


def see_once(network) -> None:
    """Make `network` look once at a picture that a batch holds several times.

    For models of the Qwen-VL kind, which take all pictures of a batch in one row of patches; others stay as they are.
    """
    import torch

    inner = network.base_model
    look = getattr(inner, "get_image_features", None)
    if look is None or not {"pixel_values", "image_grid_thw"} <= set(inspect.signature(look).parameters):
        return

    @functools.wraps(look)
    def look_once(pixel_values, image_grid_thw=None, **kwargs):
        grids = image_grid_thw.tolist()
        pictures = pixel_values.split([math.prod(grid) for grid in grids])
        sums = [picture.sum(1).tolist() for picture in pictures]
        first: dict[tuple, int] = {}
        which = []
        for i, (grid, rows) in enumerate(zip(grids, sums, strict=True)):
            at = first.setdefault((*grid, *rows), i)
            which.append(at if torch.equal(pictures[at], pictures[i]) else i)
        unique = sorted(set(which))
        seen = look(torch.cat([pictures[i] for i in unique]), image_grid_thw[unique], **kwargs)
        seen.pooler_output = tuple(seen.pooler_output[unique.index(at)] for at in which)
        return seen

    inner.get_image_features = look_once
