"""Models that run in this process, through transformers (loaded by tinyrs/loading.py).

Any checkpoint that `AutoModelForImageTextToText` knows will do, from a folder or from the hub: weights from
safetensors only, no code from the checkpoint, and every file from one commit. Neither torchvision nor, for a
folder, the network is needed.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from transformers import GenerationConfig

from tinyrs.config import Config
from tinyrs.decoding import Kept, Stopped, write
from tinyrs.engine import (
    EngineFailure,
    EngineUnavailable,
    Job,
    Options,
    Reply,
    capped,
    failure,
    longest,
)
from tinyrs.example import Question
from tinyrs.generating import generate
from tinyrs.inputs import Inputs
from tinyrs.loading import SMALL, load_model, load_processor
from tinyrs.models import ModelSpec
from tinyrs.prefix import Prefixes, key_of
from tinyrs.sharing import Asked, Queue
from tinyrs.tokens import Row
from tinyrs.turns import Turns
from tinyrs.weights import folder_of

log = logging.getLogger("tinyrs")

THREADS = torch.get_num_threads()
"""What torch takes by itself: a thread for each core, or OMP_NUM_THREADS."""

KNOWN = 4096
"""Pictures whose pixels are known at sight, so that nothing has to be resized to find what is kept of them."""

PREFIXED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""The model types whose state after a picture is keys, values and one number, `rope_deltas`."""

OUT_OF_MEMORY = "The model ran out of memory on this question; a smaller picture or a smaller model may do."
FAILED = "The model stopped with an error; the log says why."


class LocalEngine:
    """An `Engine` (tinyrs/engine.py) over the weights of `spec.source`, a folder or a hub id.

    `spec.revision` is the commit that was loaded. Raises `EngineUnavailable`.

    [system + picture] and the question after it are computed in two steps, and the first is kept for the next
    questions (TINYRS_PREFIX_BYTES of them): an answer is bit for bit the same, kept or not. `look` takes that step
    while the question is still being thought of. `two_steps` is whether the model can; set to False it is plain
    `generate`, which reads everything at once. `batch` answers in the order of length, as many rows at once as
    TINYRS_BATCH_TOKENS allow. Questions that arrive while the model is busy are answered together where that helps
    (tinyrs/sharing.py).

    `network` is a model that is used in place of the folder's weights, for measuring.
    """

    _queue: Queue | None = None

    def __init__(self, spec: ModelSpec, device: str | None = None, network=None) -> None:
        folder = folder_of(spec)
        if not Path(spec.source).is_dir():
            spec = replace(spec, revision=folder.name)  # the hub's cache names a snapshot by its commit
        self.spec = spec
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        config = Config()
        self.batch_tokens = config.batch_tokens
        self.prefixes, self._known = Prefixes(config.prefix_bytes), Prefixes(KNOWN)
        error = None
        try:
            self.processor = load_processor(folder)
            self.model = load_model(folder, self.device) if network is None else network
        except EngineUnavailable as e:
            error = e
        except Exception as e:
            error = failure(f"{spec.name} could not be loaded; the log says why.", e, EngineUnavailable)
        if error is not None:
            raise error
        if not (self.processor.chat_template or self.processor.tokenizer.chat_template):
            raise EngineUnavailable(
                f"{spec.name} has no chat template, so there is no way to put a question to it."
            )
        self.inputs = Inputs(self.processor)
        self.small = sum(part.nbytes for part in self.model.parameters()) < SMALL
        _open.add(self)
        self._ends = _end_tokens(self.model, self.processor.tokenizer)
        self.two_steps = _looks_back_only(self.model.config)
        # What a checkpoint ships (the 2B one: top_k=1, T=0.01) would fill the gaps in what `generate` gets.
        self.model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._ends), pad_token_id=self._pad
        )
        self._jobs: set[Job] = set()
        self._turns = Turns()
        if self.two_steps and (spec.thinking or self.device != "cpu"):
            self._queue = Queue(self._answer_all)

    @property
    def _pad(self) -> int:
        tokenizer = self.processor.tokenizer
        return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._ends)

    def stream(
        self,
        picture: Image.Image,
        question: Question,
        options: Options = Options(),
        cancelled: threading.Event | None = None,
    ) -> Iterator[Reply]:
        def work(job: Job) -> None:
            self._jobs.add(job)
            try:
                asked = Asked((picture, question), options, job.stop, job.publish)
                job.publish(self._queue.ask(asked) if self._queue else self._answer_all([asked])[0])
            finally:
                self._jobs.discard(job)

        yield from Job(work, f"tinyrs {self.spec.name}").replies(cancelled)

    def batch(
        self, pairs: Sequence[tuple[Image.Image, Question]], options: Options = Options()
    ) -> list[Reply]:
        return self._answer_all([Asked(pair, options) for pair in pairs])

    def look(
        self, picture: Image.Image, options: Options = Options(), cancelled: threading.Event | None = None
    ) -> float | None:
        if not self.two_steps:
            return None
        with self._turns.unasked(picture, cancelled) as stop:
            if stop is None or self.model is None:
                return None
            started = time.perf_counter()
            asked = Asked((picture, Question("")), options)
            row = self._row(asked, started)
            try:
                with _threads(), torch.inference_mode():
                    self._read([asked.pair], [row], capped(self.spec, options), stop)
            except Stopped:
                return None
            except Exception as e:
                failure("A picture could not be read ahead.", e)  # who asks about it is told
                self._let_go()
                return None
            return None if row.kept else time.perf_counter() - started

    def _answer_all(self, asked: Sequence[Asked]) -> list[Reply]:
        """The replies to all that was `asked` with the same options, in groups that fit. Raises `EngineFailure`."""
        if not asked:
            return []
        replies: list[Reply] = [None] * len(asked)
        spec = capped(self.spec, asked[0].options)
        for rows in self.inputs.batches([each.pair for each in asked], spec, self.batch_tokens):
            for row, reply in zip(rows, self._answer([asked[row] for row in rows]), strict=True):
                replies[row] = reply
        return replies

    def close(self) -> None:
        """Stop what is running and let go of the weights."""
        for job in list(self._jobs):
            job.stop.set()
        with suppress(TimeoutError), self._turns.asked([], timeout=10):
            self.model = None
            _open.discard(self)
            self.prefixes.clear()

    def _answer(self, asked: Sequence[Asked]) -> list[Reply]:
        """The replies to all that was `asked`, at once. Raises `EngineFailure`."""
        options, pairs = asked[0].options, [each.pair for each in asked]
        spec, error = capped(self.spec, options), None
        if options.choose and spec.thinking:
            raise EngineFailure(f"{spec.name} reasons before it answers, so it cannot be held to a list of answers.")
        with self._turns.asked([picture for picture, _ in pairs]):
            started = time.perf_counter()
            rows = [self._row(each, started) for each in asked]
            stop, publish = asked[0].stop, asked[0].publish
            if len(asked) > 1:  # each row knows its own
                stop, publish = _All([each.stop for each in asked]), None
            try:
                self._generate(pairs, spec, options, rows, stop, publish)
            except EngineFailure as e:
                error = e
            except (MemoryError, torch.OutOfMemoryError) as e:
                error = failure(OUT_OF_MEMORY, e)
            except Exception as e:
                # On a CPU torch has no error class of its own for this.
                full = isinstance(e, RuntimeError) and "allocate memory" in str(e)
                error = failure(OUT_OF_MEMORY if full else FAILED, e)
            if error is not None:
                self._let_go()
        if error is not None:
            # Raised out here: inside `except` it would keep every tensor of the failed frames alive.
            raise error
        return [row.reply() for row in rows]

    def _let_go(self) -> None:
        """After a failure: the next question may need the memory."""
        self.prefixes.clear()
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def _row(self, asked: Asked, started: float) -> Row:
        question, tokenizer = asked.pair[1], self.processor.tokenizer
        labels = question.labels if asked.options.choose else ()
        return Row(
            tokenizer,
            self.spec,
            asked.options,
            self._ends,
            started,
            longest(self.spec, question, asked.options),
            asked.stop,
            asked.publish,
            [tuple(tokenizer.encode(label, add_special_tokens=False)) for label in labels],
        )

    def _generate(self, pairs, spec, options: Options, rows: list[Row], stop: threading.Event, publish) -> None:
        if stop.is_set():
            return
        if self.model is None:
            raise EngineFailure(f"{self.spec.name} was closed.")
        with _threads(), torch.inference_mode():
            # A GPU reads many pictures sooner at once than one after the other; a CPU does not.
            if self.two_steps and (len(pairs) == 1 or self.device == "cpu"):
                try:
                    kept, questions = self._read(pairs, rows, spec, stop)
                except Stopped:
                    return
                if not stop.is_set():
                    write(self.model, kept, questions, rows, options, self._pad)
                return
            inputs = self.inputs.of(pairs, spec).to(self.device)
            generate(self.model, inputs, rows, options, self._ends, self._pad)

    def _read(
        self,
        pairs: Sequence[tuple[Image.Image, Question]],
        rows: Sequence[Row],
        spec: ModelSpec,
        stop: threading.Event | None = None,
    ) -> tuple[list[Kept], list[torch.Tensor]]:
        """What the model keeps of each pair's picture, read now or before, and the ids of what follows it.

        Raises `Stopped` soon after `stop` is set.
        """
        kept, questions, now = [], [], {}
        for (picture, question), row in zip(pairs, rows, strict=True):
            ids = self.inputs.ids(question, spec)
            at = ids.index(self.model.config.image_token_id)
            image = picture if picture.mode == "RGB" else picture.convert("RGB")
            budget = f"{spec.min_pixels} {spec.max_pixels}"
            shown = key_of(budget, str(ids[:at]), str(image.size), image.tobytes())
            if (key := self._known.get(shown)) is None:
                key, inputs = self._key(image, question, spec)
                self._known.put(shown, key, 1)
            else:
                inputs = None
            found = now.get(key) or self.prefixes.get(key)
            row.kept = found is not None
            if found is None:
                inputs = inputs or self.inputs.of([(image, question)], spec)
                found = self._keep(inputs, stop)
                self.prefixes.put(key, found, found.nbytes)
            now[key] = found
            kept.append(found)
            questions.append(torch.tensor(ids[at + 1 :]))
        return kept, questions

    def _keep(self, inputs, stop: threading.Event | None = None) -> Kept:
        """What the model keeps of `inputs` up to the end of their picture."""
        return Kept.read(self.model, inputs, _end_of_picture(inputs), stop)

    def _key(self, image: Image.Image, question: Question, spec: ModelSpec) -> tuple[bytes, dict]:
        """The name of what is kept of `image`, by the pixels that the model sees, and what the processor made of it."""
        inputs = self.inputs.of([(image, question)], spec)
        key = key_of(
            self.spec.source,
            str(self.spec.revision),
            str(self.model.dtype),
            inputs["input_ids"][0, : _end_of_picture(inputs)].numpy(),
            inputs["image_grid_thw"].numpy(),
            inputs["pixel_values"].numpy(),
        )
        return key, inputs


class _All:
    """Set once every one of several events is."""

    def __init__(self, events: Sequence[threading.Event]) -> None:
        self._events = events

    def is_set(self) -> bool:
        return all(event.is_set() for event in self._events)


def _end_of_picture(inputs) -> int:
    """Tokens of the one row of `inputs` up to the end of its picture."""
    return int(inputs["mm_token_type_ids"][0].nonzero()[-1]) + 1


_open: weakref.WeakSet[LocalEngine] = weakref.WeakSet()


@contextmanager
def _threads() -> Iterator[None]:
    """As many processor threads as an answer takes: TINYRS_THREADS, else one where all models that are open are small.

    The steps of a small model are so short that a second thread gains little, and costs several times what it gains as
    soon as anything else wants a core, be it the other model of the pair: torch's threads wait for each other by spinning.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(Config().threads or (1 if all(engine.small for engine in list(_open)) else THREADS))
    try:
        yield
    finally:  # who called may be about to train
        torch.set_num_threads(before)


def _looks_back_only(config) -> bool:
    """Whether the keys and values of a picture are all that a question after it needs, and all of them are kept."""
    layers = getattr(config.get_text_config(), "layer_types", None) or ()
    return config.model_type in PREFIXED and all(kind == "full_attention" for kind in layers)


def _end_tokens(model, tokenizer) -> frozenset[int]:
    ends = set()
    for declared in (model.generation_config.eos_token_id, tokenizer.eos_token_id):
        ends.update(declared if isinstance(declared, list) else [declared])
    return frozenset(end for end in ends if end is not None)
