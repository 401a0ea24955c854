"""What a model saw of a picture: the size it was resized to, and how many visual tokens that makes.

sight = seen(picture.width, picture.height, spec)
sight.sentence     "The model saw it at 280 x 252 pixels (90 visual tokens; its limit is 78,400 pixels)."
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL.Image import Resampling

from .containers import MIN_SIDE as TOKEN_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

    from .models import ModelSpec


@dataclass(frozen=True)
class Sight:
    """What one model gets of one picture.

    width, height  pixels, after resizing
    tokens         visual tokens; None behind a server, which may resize once more to limits of its own
    min_pixels, max_pixels   the model's budget, an area
    shrunk         pixels of the picture's side for one pixel that the model sees; below 1 it was enlarged
    """

    width: int
    height: int
    tokens: int | None
    min_pixels: int
    max_pixels: int
    shrunk: float

    @property
    def sentence(self) -> str:
        """One sentence for the person who asked."""
        limit = f"its limit is {self.max_pixels:,} pixels"
        if self.tokens is None:
            return f"The picture was sent at {self.width} x {self.height} pixels ({limit}; the server may shrink it further)."
        plural = "token" if self.tokens == 1 else "tokens"
        return f"The model saw it at {self.width} x {self.height} pixels ({self.tokens:,} visual {plural}; {limit})."


def seen(width: int, height: int, spec: ModelSpec) -> Sight:
    """What the model of `spec` gets of a picture of `width` x `height` pixels."""
    if spec.kind == "server":
        size, tokens = sent(width, height, spec.max_pixels), None
    else:
        size = resized(width, height, spec.min_pixels, spec.max_pixels)
        tokens = size[0] * size[1] // TOKEN_SIDE**2
    shrunk = math.sqrt(width * height / (size[0] * size[1]))
    return Sight(*size, tokens, spec.min_pixels, spec.max_pixels, shrunk)


def resized(width: int, height: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """The size to which Qwen2-VL's processor brings a picture: sides of whole tokens, area within the budget."""
    tokens = [max(1, round(side / TOKEN_SIDE)) for side in (width, height)]
    area = tokens[0] * tokens[1] * TOKEN_SIDE**2
    if area > max_pixels:
        scale = math.sqrt(width * height / max_pixels)
        tokens = [max(1, math.floor(side / scale / TOKEN_SIDE)) for side in (width, height)]
    elif area < min_pixels:
        scale = math.sqrt(min_pixels / (width * height))
        tokens = [math.ceil(side * scale / TOKEN_SIDE) for side in (width, height)]
    return tokens[0] * TOKEN_SIDE, tokens[1] * TOKEN_SIDE


def sent(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """The size at which a picture is sent to a server: a larger one than `max_pixels` in the size that the model's own
    processor would bring it to, so that it is resized once and the model sees the pixels that it sees in this process."""
    if width * height <= max_pixels:
        return width, height
    return resized(width, height, 1, max_pixels)


def shrink(image: Image, max_pixels: int) -> Image:
    """`image` as it is sent to a server (see `sent`)."""
    size = sent(*image.size, max_pixels)
    return image if size == image.size else image.resize(size, Resampling.BICUBIC)
