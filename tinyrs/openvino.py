"""Models that `python -m tinyrs convert` made, run by OpenVINO on the CPU.

    pip install -r requirements-openvino.txt
    python -m tinyrs convert --to openvino-int8 pocket-r1 --out runs/pocket-r1-int8
    python -m tinyrs ask PICTURE "QUESTION" --model runs/pocket-r1-int8

Prompts, pictures, replies and what is kept for the next question are those of tinyrs/local.py; what computes is not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinyrs.config import Config
from tinyrs.convert import PARTS, CannotConvert, runtime, shape_of
from tinyrs.decoding import Stopped, choose
from tinyrs.engine import EngineFailure, EngineUnavailable, Options, failure
from tinyrs.inputs import Inputs
from tinyrs.loading import SMALL, load_processor
from tinyrs.local import KNOWN, LocalEngine
from tinyrs.models import ModelSpec
from tinyrs.prefix import Prefixes
from tinyrs.sharing import Queue
from tinyrs.tokens import Row
from tinyrs.turns import Turns

MASKED = -1e9
"""What is added to the weight of a token that must not be looked at. Finite: padding that sees nothing stays a number."""

ROUNDED = 32
"""Values that are rounded to 8 bits together, in a large model, before they meet its weights of 8 or 4: whole numbers are
multiplied several times as fast. In a small one that gains nothing. Groups of 64 are a tenth quicker and a third less exact."""

POLL = 50
"""Milliseconds after which a computation looks whether it is still wanted."""


class OpenVINOEngine(LocalEngine):
    """An `Engine` (tinyrs/engine.py) over the folder of `spec.source`, which tinyrs/convert.py wrote.

    [system + picture] and the question after it are two steps, as in `LocalEngine`, and the keys and values of the
    first are kept for the next questions. A step that is no longer wanted ends in its middle. Raises `EngineUnavailable`.
    """

    def __init__(self, spec: ModelSpec) -> None:
        folder = Path(spec.source)
        config = Config()
        self.spec, self.device, self.two_steps = spec, "cpu", True
        self.batch_tokens = config.batch_tokens
        self.prefixes, self._known = Prefixes(config.prefix_bytes), Prefixes(KNOWN)
        runtime()
        if not (folder / PARTS / "language.xml").is_file():
            raise EngineUnavailable(
                f"There is no converted model in {folder}; python -m tinyrs convert writes one."
            )
        error = None
        try:
            self.processor = load_processor(folder)
            self.model = _Graphs(folder, config.threads, config.rounded)
        except CannotConvert as e:
            error = EngineUnavailable(str(e))
        except Exception as e:
            error = failure(f"{spec.name} could not be loaded; the log says why.", e, EngineUnavailable)
        if error is not None:
            raise error
        self.inputs = Inputs(self.processor)
        self._ends = frozenset({*self.model.ends, self.processor.tokenizer.eos_token_id} - {None})
        self._jobs, self._turns = set(), Turns()
        if spec.thinking:  # long answers: who comes while one is written waits less when they are written together
            self._queue = Queue(self._answer_all)

    def _generate(self, pairs, spec, options: Options, rows: Sequence[Row], stop, publish) -> None:
        if stop.is_set():
            return
        if self.model is None:
            raise EngineFailure(f"{self.spec.name} was closed.")
        self.model.stop = stop
        noise = _Sampler(options, len(rows)) if options.temperature > 0 else None
        try:
            seen, questions = self._read(pairs, rows, spec, stop)
            writing = _Writing(self.model, seen, [ids.numpy() for ids in questions], self._pad)
            logits = writing.read()
            while True:
                tokens = choose(noise(logits, writing.left) if noise else logits, [rows[n] for n in writing.left])
                going = [place for place, number in enumerate(writing.left) if not rows[number].over]
                if not going:
                    return
                logits = writing.write(going, np.array(tokens)[going])
        except Stopped:
            return

    def _keep(self, inputs, stop: threading.Event | None = None) -> _Seen:
        self.model.stop = stop or threading.Event()
        parts = {name: value.numpy() for name, value in inputs.items()}
        shown = parts["mm_token_type_ids"][0] > 0
        end = int(shown.nonzero()[0][-1]) + 1
        return self.model.look(parts["input_ids"][0, :end], shown[:end], parts["image_grid_thw"][0], parts["pixel_values"])


class _Seen(NamedTuple):
    """What the language model keeps of [system + picture]."""

    state: dict[str, np.ndarray]  # each (1, heads, tokens, size)
    tokens: int
    after: int  # the position of the next token, which is not their number: a picture takes fewer

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.state.values())


class _Graphs:
    """The two graphs of a folder, compiled for this processor, and the table of embeddings. One user at a time.

    stop  ends what is being computed, with `Stopped`, when it is set
    """

    dtype = "whole numbers"

    def __init__(self, folder: Path, threads: int = 0, rounded: int = -1) -> None:
        ov = runtime()
        self.config, self.stop = shape_of(folder), threading.Event()
        text, sizes = self.config.text_config, self.config.vision_config
        turns, sections = text.rope_parameters, text.rope_parameters["mrope_section"]
        self.merge = sizes.spatial_merge_size
        self.ends = _declared_ends(folder)
        self._turns = _frequencies(text.hidden_size // text.num_attention_heads, turns["rope_theta"])
        self._axes = np.resize([0, 1, 2], len(sections)).repeat(sections)  # time, height and width take turns
        self._vision_turns = _frequencies(sizes.embed_dim // sizes.num_heads // 2, sizes.rope_parameters["rope_theta"])
        self._words = np.load(folder / PARTS / "embeddings.npy", mmap_mode="r")
        large = sum(path.stat().st_size for path in (folder / PARTS).iterdir()) >= SMALL
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": rounded if rounded >= 0 else ROUNDED if large else 0,
            "KV_CACHE_PRECISION": "f32",  # by itself 8 bits, which gains nothing here and moves answers
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        if not large:  # large ones in bfloat16, where the CPU has it
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        core = ov.Core()
        self._vision, self._language = (
            core.compile_model(folder / PARTS / f"{name}.xml", "CPU", settings).create_infer_request()
            for name in ("vision", "language")
        )
        self._state = {state.name: state for state in self._language.query_state()}

    def look(self, ids: np.ndarray, shown: np.ndarray, grid: np.ndarray, pixels: np.ndarray) -> _Seen:
        """Read `ids`, the start of a prompt, whose tokens at `shown` are those of the picture."""
        embeddings = self.words(ids[None])
        embeddings[0, shown] = self._tokens(grid, pixels)
        positions, after = _positions(shown, grid[1:] // self.merge)
        self.put({})
        self.step(embeddings, positions[:, None], _causal(len(ids))[None, None], [0])
        state = {name: np.array(state.state.data) for name, state in self._state.items()}
        return _Seen(state, len(ids), after)

    def _tokens(self, grid: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """(tokens, hidden) of the patches of one picture, which lie in the order of the blocks that become a token."""
        _, height, width = (int(side) for side in grid)
        places = np.indices((height, width)).reshape(2, height // self.merge, self.merge, -1, self.merge)
        places = places.swapaxes(2, 3).reshape(2, -1)
        angles = np.concatenate([place[:, None] * self._vision_turns for place in places], 1)
        return _run(self._vision, {"patches": pixels, **_turn(angles)}, self.stop)

    def words(self, ids: np.ndarray) -> np.ndarray:
        """The embeddings of `ids`, in one more dimension."""
        return self._words[ids].astype(np.float32)

    def put(self, state: dict[str, np.ndarray]) -> None:
        """Go on from `state`; from nothing, where it is empty."""
        ov = runtime()
        self._language.reset_state()
        for name, part in state.items():
            self._state[name].state = ov.Tensor(np.ascontiguousarray(part))

    def step(self, embeddings: np.ndarray, positions: np.ndarray, mask: np.ndarray, rows) -> np.ndarray:
        """(rows, words): the logits after these tokens, at `positions` (3, rows, tokens). The state grows by them."""
        angles = np.moveaxis(positions, 0, -1)[..., self._axes] * self._turns
        inputs = {"embeddings": embeddings, "mask": mask, "rows": np.asarray(rows, np.int32), **_turn(angles)}
        return _run(self._language, inputs, self.stop)


class _Writing:
    """Answers that are written side by side, each row after its own picture. Padding is on the left of both parts."""

    def __init__(self, model: _Graphs, seen: Sequence[_Seen], questions: Sequence[np.ndarray], pad: int) -> None:
        self.model = model
        self.left = list(range(len(seen)))  # rows that are not done, by their number in the batch
        self._ids = _padded(questions, 0, pad)
        self._at = np.array([[each.after + len(ids)] for each, ids in zip(seen, questions, strict=True)])
        starts = _padded([np.zeros(each.tokens, np.float32) for each in seen], 0, MASKED)
        asked = _padded([np.zeros(len(ids), np.float32) for ids in questions], 0, MASKED)
        self._mask = np.concatenate([starts, asked], 1)
        model.put(
            {name: _padded([each.state[name][0] for each in seen], 1, 0.0) for name in seen[0].state}
        )

    def read(self) -> np.ndarray:
        """Read the questions: the logits of the first words."""
        rows, length = self._ids.shape
        mask = np.repeat(self._mask[:, None, None], length, 2)
        mask[..., -length:] += _causal(length)
        positions = self._at + np.arange(-length, 0)
        return self._step(self._ids, positions, np.maximum(mask, MASKED), range(rows))

    def write(self, going: list[int], tokens: np.ndarray) -> np.ndarray:
        """Add a token to each row that goes on (by its place among those `left`): the logits of the next ones."""
        self.left = [self.left[index] for index in going]
        self._mask = np.pad(self._mask[going], ((0, 0), (0, 1)))
        self._at = self._at[going] + 1
        return self._step(tokens[:, None], self._at - 1, self._mask[:, None, None], going)

    def _step(self, ids: np.ndarray, positions: np.ndarray, mask: np.ndarray, rows) -> np.ndarray:
        positions = np.repeat(positions[None], 3, 0)
        return self.model.step(self.model.words(ids), positions, mask, list(rows))


class _Sampler:
    """Sampling as the highest choice after Gumbel noise, with random numbers of its own for each row."""

    def __init__(self, options: Options, rows: int) -> None:
        self._temperature = options.temperature
        self._sources = [np.random.default_rng(options.seed) for _ in range(rows)]

    def __call__(self, logits: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
        noise = np.stack([self._sources[number].gumbel(size=logits.shape[1]) for number in numbers])
        return logits / self._temperature + noise


def _run(request, inputs: dict[str, np.ndarray], stop: threading.Event) -> np.ndarray:
    """The one output of `request`. Raises `Stopped` soon after `stop` is set."""
    request.start_async({name: np.ascontiguousarray(value) for name, value in inputs.items()})
    try:
        while not request.wait_for(POLL):
            if stop.is_set():
                request.cancel()
    except RuntimeError:
        if not stop.is_set():
            raise
    if stop.is_set():
        raise Stopped
    return np.array(request.get_output_tensor(0).data)


def _positions(shown: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, int]:
    """(3, tokens) positions in time, height and width of a prompt whose tokens at `shown` are a picture of `grid` rows
    and columns, and the position of the token after it. All tokens of the picture are at one time."""
    rows, columns = (int(side) for side in grid)
    start, end = int(shown.argmax()), len(shown)
    places = np.repeat(np.arange(end)[None], 3, 0)
    places[:, start : start + rows * columns] = start
    places[1:, start : start + rows * columns] += np.indices((rows, columns)).reshape(2, -1)
    return places, start + max(rows, columns)


def _frequencies(size: int, theta: float) -> np.ndarray:
    """Radians for each step, of each pair of values of a head of `size` values."""
    return (1.0 / theta ** (np.arange(0, size, 2, dtype=np.float32) / size)).astype(np.float32)


def _turn(angles: np.ndarray) -> dict[str, np.ndarray]:
    """Cosines and sines of `angles`, for the first half of a head's values and again for the second."""
    angles = np.concatenate([angles, angles], -1).astype(np.float32)
    return {"cos": np.cos(angles), "sin": np.sin(angles)}


def _causal(length: int) -> np.ndarray:
    """(length, length): what is added to the weight of a token, in a column, for the one that looks, in a row."""
    return np.triu(np.full((length, length), MASKED, np.float32), 1)


def _padded(parts: Sequence[np.ndarray], axis: int, fill: float) -> np.ndarray:
    """`parts` stacked, each with `fill` before it along `axis` up to the longest one's length."""
    longest = max(part.shape[axis] for part in parts)
    width = [[(longest - part.shape[axis], 0) if at == axis else (0, 0) for at in range(part.ndim)] for part in parts]
    return np.stack(
        [np.pad(part, each, constant_values=fill) for part, each in zip(parts, width, strict=True)]
    )


def _declared_ends(folder: Path) -> frozenset[int]:
    from transformers import GenerationConfig

    if not (folder / "generation_config.json").is_file():
        return frozenset()
    ends = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
