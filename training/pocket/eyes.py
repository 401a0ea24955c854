"""The stage before the first: give the vision tower eyes.

Qwen2-VL-2B starts from a tower that has seen billions of pictures; the pocket tower starts from nothing, and the
language loss alone teaches it almost nothing in the hours that two cores have (dev/LOG.md). So the tower first
learns three things at once, and the model cards say so:

- scene labels, from the mean of its visual tokens,
- object maps: which class of object lies on a token, and where its box is,
- the feature maps of two small convolutional teachers, one of scenes and one of objects, token by token.

Only the tower is kept. The heads that read it here are thrown away.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from training.pocket.batches import TOKEN, ObjectBatches, SceneBatches
from training.pocket.detector import Detector, object_loss
from training.pocket.model import LARGE
from training.pocket.muon import optimisers
from training.pocket.pictures import OBJECTS
from training.pocket.practice import Practice
from training.pocket.teacher import SIDE, Teacher

PATCH = 14
NEAR_SCENES = ((64, 140), (20, 252), (64, 140), (12, LARGE))
"""Views and pixels of the batches of scenes, in turn, once they are no longer small."""
HEADS = 200
"""Steps in which new heads learn to read a tower that has eyes."""


def patches(pictures: torch.Tensor) -> torch.Tensor:
    """Normalised pictures (batch, 3, side, side) -> the flat patches that Qwen2-VL's image processor makes of them:
    2 x 2 neighbours stand together, and each patch twice, as two frames."""
    count, _, height, width = pictures.shape
    blocks = pictures.reshape(count, 3, height // TOKEN, 2, PATCH, width // TOKEN, 2, PATCH)
    blocks = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, 2, -1, -1)
    return blocks.reshape(count * (height // PATCH) * (width // PATCH), 3 * 2 * PATCH * PATCH)


def _attend_in_batches(self, hidden_states, cu_seqlens, position_embeddings=None, **_):
    """Qwen2-VL's vision attention for pictures of one size: one product for the batch in place of one a picture."""
    from transformers.models.qwen2_vl.modeling_qwen2_vl import apply_rotary_pos_emb_vision

    total, count = hidden_states.shape[0], len(cu_seqlens) - 1
    parts = self.qkv(hidden_states).reshape(total, 3, self.num_heads, -1).permute(1, 0, 2, 3)
    query, key, value = parts.unbind(0)
    query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
    query, key, value = (
        t.to(value.dtype).reshape(count, total // count, self.num_heads, -1).transpose(1, 2)
        for t in (query, key, value)
    )
    # Plain products: torch's fused attention on CPU is the slower one for so few tokens and such narrow heads.
    weights = (query @ key.transpose(2, 3) * self.scaling).softmax(-1).to(value.dtype)
    return self.proj((weights @ value).transpose(1, 2).reshape(total, -1))


def _embed_by_product(self, patches: torch.Tensor) -> torch.Tensor:
    """Qwen2-VL's patch embedding, a convolution whose kernel is the patch, as the product that it is."""
    return F.linear(patches.to(self.proj.weight.dtype), self.proj.weight.flatten(1), self.proj.bias)


@contextlib.contextmanager
def replaced(*changes: tuple[object, str, object]) -> Iterator[None]:
    """While open, the attribute `name` of `owner` is `value`, for each (owner, name, value)."""
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for change in changes:
            setattr(*change)
        yield
    finally:
        for original in originals:
            setattr(*original)


def pictures_of_one_size() -> contextlib.AbstractContextManager[None]:
    """While open, every Qwen2-VL tower expects batches of pictures of one size, and is faster for it."""
    from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed, VisionAttention

    return replaced(
        (VisionAttention, "forward", _attend_in_batches), (PatchEmbed, "forward", _embed_by_product)
    )


def look_around(tower, seed: int = 0) -> None:
    """Start `tower` as a convolution: in all layers but the last two, head h looks at the h-th neighbour.

    Biases alone do it: a constant query and a constant key, turned by RoPE, score a pair of patches by their
    distance only, and the phase between the two puts the peak at the wanted neighbour (the idea of Cordonnier et
    al. 2020, "On the Relationship between Self-Attention and Convolutional Layers", in RoPE's terms).
    """
    torch.manual_seed(seed)
    for name, weight in tower.named_parameters():
        if "patch_embed" in name:
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        elif weight.ndim == 2:
            nn.init.xavier_uniform_(weight)
    neighbours = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    turns = tower.rotary_pos_emb.inv_freq
    for depth, block in enumerate(tower.blocks[:-2]):
        attention = block.attn
        reach = 1 if depth < len(tower.blocks) // 2 else 2
        bias = attention.qkv.bias.data.view(3, attention.num_heads, attention.head_dim)
        attention.qkv.weight.data[: 2 * attention.dim] *= 0.3
        for head in range(attention.num_heads):
            for axis, distance in enumerate(neighbours[head % len(neighbours)]):
                for turn, sharpness in ((0, 10.0), (1, 6.0)):
                    at = axis * len(turns) + turn
                    size = math.sqrt(sharpness * math.sqrt(attention.head_dim))
                    phase = float(turns[turn]) * distance * reach
                    bias[1, head, at] = size
                    bias[0, head, at] = size * math.cos(phase)
                    bias[0, head, at + attention.head_dim // 2] = size * math.sin(phase)


class Eyes(nn.Module):
    """The tower and the heads that teach it."""

    def __init__(self, tower, classes: int, teacher: Teacher | None = None, detector: Detector | None = None):
        super().__init__()
        self.tower = tower
        width = tower.config.hidden_size
        self.scene = nn.Linear(width, classes)
        self.object = nn.Linear(width, len(OBJECTS) + 4)
        nn.init.constant_(self.object.bias[: len(OBJECTS)], -4.0)
        self.imitate = nn.Linear(width, teacher.channels) if teacher else None
        self.follow = nn.Linear(width, detector.channels) if detector else None

    def tokens(self, pictures: torch.Tensor) -> torch.Tensor:
        """The visual tokens of `pictures`, see `tokens_of`."""
        return tokens_of(self.tower, pictures)

    def forward(self, pictures):
        return self.scene(self.tokens(pictures).mean(1))

    def find(self, pictures):
        """What is read of every cell, as training.pocket.detector.Detector reads it."""
        return self.object(self.tokens(pictures))


def tokens_of(tower, pictures: torch.Tensor) -> torch.Tensor:
    """(batch, 3, height, width) -> the visual tokens (batch, tokens, width) that the language model will read."""
    count, _, height, width = pictures.shape
    grid = torch.tensor([[1, height // PATCH, width // PATCH]] * count)
    with torch.autocast("cpu", torch.bfloat16):
        seen = tower(patches(pictures), grid).pooler_output
    return seen.float().reshape(count, -1, seen.shape[-1])


def scene_loss(eyes: Eyes, teacher: Teacher | None, pictures, labels) -> torch.Tensor:
    """Labels, and, with a teacher, its logits and its feature map."""
    tokens = eyes.tokens(pictures)
    logits = eyes.scene(tokens.mean(1))
    loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
    if teacher is None:
        return loss
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        small = F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        features = teacher.features(small)
        soft = teacher.head(features.mean((2, 3))).float()
    cells = pictures.shape[-1] // TOKEN
    wanted = F.interpolate(
        features.float(), (cells, cells), mode="bilinear", antialias=True, align_corners=False
    )
    wanted = wanted.flatten(2).transpose(1, 2)
    alike = F.cosine_similarity(eyes.imitate(tokens), wanted, dim=-1).mean()
    heat = 2.0
    soft = (
        F.kl_div((logits / heat).log_softmax(-1), (soft / heat).softmax(-1), reduction="batchmean") * heat**2
    )
    return 0.5 * loss + soft + 2 * (1 - alike)


def finding_loss(eyes: Eyes, detector: Detector | None, pictures, *wanted) -> torch.Tensor:
    """Object maps, and, with a detector, its features cell by cell."""
    tokens = eyes.tokens(pictures)
    loss = object_loss(eyes.object(tokens), *wanted)
    if detector is None:
        return loss
    with torch.no_grad():
        features = detector.features(pictures).float()
    return loss + 4 * (1 - F.cosine_similarity(eyes.follow(tokens), features, dim=-1).mean())


def muon_and_adam(eyes: Eyes) -> list[torch.optim.Optimizer]:
    """The optimisers of the eyes: the matrices of the tower's blocks are Muon's."""
    return optimisers(eyes, "tower.blocks.")


def train_eyes(
    tower,
    scenes: SceneBatches,
    objects: ObjectBatches,
    minutes: float,
    teacher: Teacher | None = None,
    detector: Detector | None = None,
    peak: float = 1.6e-3,
    moved_by: Callable[[Eyes], Sequence[torch.optim.Optimizer]] = muon_and_adam,
    again: bool = False,
    kept: Path | None = None,
    say: Callable[[str], None] = print,
    after: Callable[[Eyes], None] | None = None,
) -> Eyes:
    """Train `tower` in place for `minutes`, in turns on scenes and on objects.

    The first three fifths of the time look at small pictures (112 and 224 pixels), the rest at objects in the size of the app and
    at scenes of all sizes (NEAR_SCENES), and there two of three steps look for objects, which take longer to learn.
    `after` is called with the eyes every five minutes and at the end. A state in `kept` is gone on from. `again`: the tower has eyes,
    which small pictures would only blur; in the first HEADS steps only the heads learn, which do not know it.
    """
    eyes = Eyes(tower, len(scenes.classes), teacher, detector)

    def draw(step: int, near: bool):
        turns = (("scenes", "objects"), ("scenes", "objects", "objects"))[near] if objects.known else ("scenes",)
        turn, at = divmod(step, len(turns))
        if turns[at] == "objects":
            return "objects", objects.draw(step, *((16, LARGE) if near else (20, 224)))
        return "scenes", scenes.draw(step, *(NEAR_SCENES[turn % len(NEAR_SCENES)] if near else (64, 112)))

    practice = Practice(
        "eyes", eyes, moved_by(eyes), peak=peak, warm=100 + HEADS * again,
        least=0.01, minutes=minutes, clip=1.0, kept=kept, say=say,
    )  # fmt: skip
    with pictures_of_one_size(), ThreadPoolExecutor(1) as aside:
        coming, told = aside.submit(draw, practice.step, again or practice.share > 0.6), practice.spent
        for step in practice:
            tower.requires_grad_(step >= HEADS or not again)
            (kind, batch), coming = coming.result(), aside.submit(draw, step + 1, again or practice.share > 0.6)
            measure, guide = (finding_loss, detector) if kind == "objects" else (scene_loss, teacher)
            loss = measure(eyes, guide, *batch)
            practice.learn(loss, {kind: loss})
            if after and practice.spent - told >= 300:
                told = practice.spent
                eyes.eval()
                after(eyes)
                eyes.train()
        eyes.eval()
        if after:
            after(eyes)
    return eyes
