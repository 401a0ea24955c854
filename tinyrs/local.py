"""Models that run in this process, through transformers. The only torch outside training/.

Any checkpoint that `AutoModelForImageTextToText` knows will do, from a folder or from the hub: weights from
safetensors only, no code from the checkpoint, and every file from one commit. Neither torchvision nor, for a
folder, the network is needed.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    StoppingCriteria,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import logging as transformers_logging

from tinyrs.config import Config
from tinyrs.engine import EngineFailure, EngineUnavailable, Job, Options, Reply, capped, conversation, failure
from tinyrs.example import Question
from tinyrs.models import ModelSpec
from tinyrs.prefix import Prefixes, key_of
from tinyrs.tokens import Row, plain
from tinyrs.weights import folder_of

log = logging.getLogger("tinyrs")

SMALL = 2**30
"""Weights of fewer bytes than this are computed in float32 everywhere: small models are fast as it is."""

FIXED_SIZE = 1024
"""Tokens that a picture is taken for where the model makes all pictures one size (LLaVA: 576)."""

PREFIXED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""The model types whose state after a picture is keys, values and one number, `rope_deltas`."""

OUT_OF_MEMORY = "The model ran out of memory on this question; a smaller picture or a smaller model may do."
FAILED = "The model stopped with an error; the log says why."


class LocalEngine:
    """An `Engine` (tinyrs/engine.py) over the weights of `spec.source`, a folder or a hub id.

    One question at a time: the model keeps the positions of the picture it last saw (`rope_deltas`), so a
    lock guards it. `spec.revision` is the commit that was loaded. Raises `EngineUnavailable`.

    [system + picture] and the question after it are computed in two steps, and the first is kept for the next
    questions (TINYRS_PREFIX_BYTES of them): an answer is bit for bit the same, kept or not. `two_steps` is
    whether the model can; set to False it is plain `generate`, which reads everything at once. `batch` answers
    in the order of length, as many rows at once as TINYRS_BATCH_TOKENS allow.
    """

    def __init__(self, spec: ModelSpec, device: str | None = None) -> None:
        folder = folder_of(spec)
        if not Path(spec.source).is_dir():
            spec = replace(spec, revision=folder.name)  # the hub's cache names a snapshot by its commit
        self.spec = spec
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        config = Config()
        if config.threads:
            torch.set_num_threads(config.threads)
        self.batch_tokens = config.batch_tokens
        self.prefixes = Prefixes(config.prefix_bytes)
        error = None
        try:
            self.processor = load_processor(folder)
            self.model = load_model(folder, self.device)
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
        self._ends = _end_tokens(self.model, self.processor.tokenizer)
        self.two_steps = _looks_back_only(self.model.config)
        # transformers is about to rename it.
        known = inspect.signature(self.model.forward).parameters
        self._cache_word = "cache" if "cache" in known else "past_key_values"
        # What a checkpoint ships (the 2B one: top_k=1, T=0.01) would fill the gaps in what `generate` gets.
        self.model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._ends), pad_token_id=self._pad
        )
        self._lock = threading.Lock()
        self._jobs: set[Job] = set()

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
                job.publish(self._answer([(picture, question)], options, job.stop, job.publish)[0])
            finally:
                self._jobs.discard(job)

        yield from Job(work, f"tinyrs {self.spec.name}").replies(cancelled)

    def batch(
        self, pairs: Sequence[tuple[Image.Image, Question]], options: Options = Options()
    ) -> list[Reply]:
        replies: list[Reply] = [None] * len(pairs)
        for rows in self._batches(pairs, capped(self.spec, options)):
            found = self._answer([pairs[row] for row in rows], options, threading.Event())
            for row, reply in zip(rows, found, strict=True):
                replies[row] = reply
        return replies

    def close(self) -> None:
        """Stop what is running and let go of the weights."""
        for job in list(self._jobs):
            job.stop.set()
        if self._lock.acquire(timeout=10):
            self.model = None
            self.prefixes.clear()
            self._lock.release()

    def _answer(
        self,
        pairs: Sequence[tuple[Image.Image, Question]],
        options: Options,
        stop: threading.Event,
        publish: Callable[[Reply], None] | None = None,
    ) -> list[Reply]:
        """The replies to `pairs`; on the way, the first row's to `publish`. Raises `EngineFailure`."""
        spec, error = capped(self.spec, options), None
        with self._lock:
            rows = [
                Row(self.processor.tokenizer, self.spec, options, self._ends, time.perf_counter())
                for _ in pairs
            ]
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
                self.prefixes.clear()  # the next question may need the memory
                if self.device != "cpu":
                    torch.cuda.empty_cache()
        if error is not None:
            # Raised out here: inside `except` it would keep every tensor of the failed frames alive.
            raise error
        return [row.reply() for row in rows]

    def _generate(self, pairs, spec, options: Options, rows: list[Row], stop: threading.Event, publish) -> None:
        if stop.is_set():
            return
        if self.model is None:
            raise EngineFailure(f"{self.spec.name} was closed.")
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=rows[0].budget,
            eos_token_id=sorted(self._ends),
            pad_token_id=self._pad,
        )
        sampler = [_Sampler(options.temperature, options.seed, len(pairs))] if options.temperature > 0 else []
        with torch.inference_mode():
            # A GPU reads many pictures sooner at once than one after the other; a CPU does not.
            apart = self.two_steps and (len(pairs) == 1 or self.device == "cpu")
            if apart:
                inputs = self._after_pictures(pairs, rows, spec)
            else:
                inputs = self._inputs(pairs, spec).to(self.device)
            if stop.is_set():
                return
            progress = _Progress(rows, inputs["input_ids"].shape[1], stop, publish)
            self.model.generate(
                **inputs, generation_config=config, stopping_criteria=[progress], logits_processor=sampler
            )

    def _after_pictures(
        self, pairs: Sequence[tuple[Image.Image, Question]], rows: Sequence[Row], spec: ModelSpec
    ) -> dict:
        """What `generate` needs to go on after the pictures of `pairs`, which are read now or were before.

        A picture's keys and values come with its `rope_deltas`: with those of another picture the model would
        take every later token for one at another place, and say nothing. Each row is [padding, start up to the
        end of the picture, padding, question]; the padding is masked, and positions do not count it.
        """
        read: dict[bytes, tuple] = {}
        keys, starts, ends = [], [], []
        for pair, row in zip(pairs, rows, strict=True):
            inputs = self._inputs([pair], spec)
            ids = inputs["input_ids"][0]
            end = int(inputs["mm_token_type_ids"][0].nonzero()[-1]) + 1
            key = key_of(
                self.spec.source,
                str(self.spec.revision),
                str(self.model.dtype),
                ids[:end].numpy(),
                inputs["image_grid_thw"].numpy(),
                inputs["pixel_values"].numpy(),
            )
            row.kept = key in read or (found := self.prefixes.get(key)) is not None
            if key not in read:
                read[key] = found if row.kept else self._read_picture(key, inputs, end)
            keys.append(key)
            starts.append(ids[:end])
            ends.append(ids[end:])
        kept = [read[key] for key in keys]
        layers = [
            tuple(_on_the_right([layers[number][side] for layers, _ in kept], dim=2) for side in (0, 1))
            for number in range(len(kept[0][0]))
        ]
        self.model.model.rope_deltas = torch.cat([deltas for _, deltas in kept])
        ids = [_on_the_right([row[None] for row in part], 1, self._pad) for part in (starts, ends)]
        mask = [_on_the_right([torch.ones_like(row[None]) for row in part], 1) for part in (starts, ends)]
        return {
            "input_ids": torch.cat(ids, 1).to(self.device),
            "attention_mask": torch.cat(mask, 1).to(self.device),
            self._cache_word: DynamicCache(layers),  # copies: what is kept stays as it is
        }

    def _read_picture(self, key: bytes, inputs, end: int) -> tuple[list[tuple], torch.Tensor]:
        """The keys and values of every layer (1, heads, end, size) after the first `end` tokens, and `rope_deltas`."""
        model, cache = self.model.model, DynamicCache()
        ids = inputs["input_ids"][:, :end].to(self.device)
        model.rope_deltas = None
        model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=inputs["mm_token_type_ids"][:, :end].to(self.device),
            pixel_values=inputs["pixel_values"].to(self.device),
            image_grid_thw=inputs["image_grid_thw"].to(self.device),
            use_cache=True,
            **{self._cache_word: cache},
        )
        made = [(layer.keys, layer.values) for layer in cache.layers], model.rope_deltas
        self.prefixes.put(key, made, sum(tensor.nbytes for layer in made[0] for tensor in layer))
        return made

    def _batches(
        self, pairs: Sequence[tuple[Image.Image, Question]], spec: ModelSpec | None = None
    ) -> Iterator[list[int]]:
        """The numbers of `pairs`, the longest first, in groups that are read at once.

        Rows of like length need little padding, and a group's rows times its longest stay within `batch_tokens`.
        The longest first: what is too large for the memory fails at once.
        """
        lengths = [self._length(*pair, spec) for pair in pairs] if len(pairs) > 1 else [0] * len(pairs)
        group: list[int] = []
        for row in sorted(range(len(pairs)), key=lambda row: -lengths[row]):
            if group and lengths[group[0]] * (len(group) + 1) > self.batch_tokens:
                yield group
                group = []
            group.append(row)
        if group:
            yield group

    def _length(self, picture: Image.Image, question: Question, spec: ModelSpec | None = None) -> int:
        """How many tokens the model reads of this pair; about as many where all pictures are made one size."""
        text = len(self.processor.tokenizer(self._prompt(question))["input_ids"])
        images = self.processor.image_processor
        if not self._by_area:
            return text + FIXED_SIZE
        spec = spec or self.spec
        limits = {"min_pixels": spec.min_pixels, "max_pixels": spec.max_pixels}
        patches = images.get_number_of_image_patches(picture.height, picture.width, limits)
        return text - 1 + patches // images.merge_size**2  # in the prompt's text the picture is one token

    @property
    def _by_area(self) -> bool:
        """Pictures are resized to an area (the Qwen family and its relatives), not to edges."""
        images = self.processor.image_processor
        return "longest_edge" in dict(images.size or {}) and hasattr(images, "merge_size")

    def _prompt(self, question: Question) -> str:
        return self.processor.apply_chat_template(
            conversation(self.spec, plain(question, self.processor.tokenizer)),
            add_generation_prompt=True,
            tokenize=False,
        )

    def _inputs(self, pairs: Sequence[tuple[Image.Image, Question]], spec: ModelSpec | None = None):
        """What the model reads: prompts with their pictures in the pixel budget of `spec`, padded on the left."""
        spec = spec or self.spec
        processor, tokenizer = self.processor, self.processor.tokenizer
        texts = [self._prompt(question) for _, question in pairs]
        kwargs = {}
        if tokenizer.bos_token and texts[0].startswith(tokenizer.bos_token):
            kwargs["add_special_tokens"] = False  # the template wrote it already
        if self._by_area:
            size = {"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels}
            kwargs["images_kwargs"] = {"size": size}
        return processor(
            text=texts,
            images=[[picture.convert("RGB")] for picture, _ in pairs],
            padding=True,
            return_tensors="pt",
            **kwargs,
        )


class _Progress(StoppingCriteria):
    """Reads every token as it is made, and ends each row where its answer ends, or all of them at `stop`."""

    def __init__(self, rows: list[Row], prompt: int, stop: threading.Event, publish) -> None:
        self.rows, self.seen, self.stop, self.publish = rows, prompt, stop, publish

    def __call__(self, input_ids, scores, **kwargs):
        for column in input_ids[:, self.seen :].T.tolist():
            for row, token in zip(self.rows, column, strict=True):
                if not row.done:
                    row.take(token)
        self.seen = input_ids.shape[1]
        if self.publish is not None and not self.rows[0].done:
            self.publish(self.rows[0].reply())
        over = self.stop.is_set()
        return torch.tensor([over or row.done for row in self.rows], device=input_ids.device)


class _Sampler(LogitsProcessor):
    """Sampling as greedy choice after Gumbel noise, with random numbers of its own for each row.

    torch's own sampling draws from one stream for the whole process: answers would depend on what else runs.
    """

    def __init__(self, temperature: float, seed: int, rows: int) -> None:
        self.temperature = temperature
        self.sources = [torch.Generator().manual_seed(seed) for _ in range(rows)]

    def __call__(self, input_ids, scores):
        noise = torch.stack([torch.rand(scores.shape[1], generator=source) for source in self.sources])
        gumbel = -torch.log(-torch.log(noise.clamp_(1e-20, 1 - 1e-7)))
        return scores.float() / self.temperature + gumbel.to(scores.device)


_loading = threading.Lock()
"""Held while transformers loads a model: for that time it swaps PreTrainedModel.tie_weights and torch's default dtype,
for the whole process. Two loads at once can leave the swap in place, and every later model without its lm_head."""


def load_model(folder: Path, device: str = "cpu"):
    """The model in `folder`, ready to answer, in the type that suits `device` (see `dtype_for`).

    Raises `EngineUnavailable` where weights are missing: transformers would make some up.
    """
    with _loading:
        shown = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            model, info = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=dtype_for(folder, device),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        finally:
            if shown:
                transformers_logging.enable_progress_bar()
    if wrong := sorted(str(key) for kind in ("missing_keys", "mismatched_keys") for key in info[kind]):
        log.error("%s: weights missing or of another shape: %s", folder, ", ".join(wrong))
        raise EngineUnavailable(f"The weights in {folder} do not fit their config.json; the log names them.")
    return model.to(device).eval()


def dtype_for(folder: Path, device: str) -> torch.dtype:
    """float32 for small models, and for CPUs that cannot multiply bfloat16; else bfloat16."""
    if sum(path.stat().st_size for path in folder.glob("*.safetensors")) < SMALL:
        return torch.float32
    if device == "cpu":
        capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if capable else torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def load_processor(folder: Path):
    """The processor of the checkpoint in `folder`: its tokenizer, chat template and picture processor.

    transformers refuses the processors of the Qwen family and its relatives where torchvision is missing,
    because of their video processor, which pictures do not need: such a processor is taken without it. Its
    pictures are resized by Pillow, torchvision or not, so that a model sees the same pixels on every machine.
    """
    known = dict(trust_remote_code=False, local_files_only=True)
    config = AutoConfig.from_pretrained(folder, **known)
    kind = PROCESSOR_MAPPING.get(type(config), None)
    if kind is not None and list(inspect.signature(kind.__init__).parameters)[1:4] == _WITH_VIDEO:
        processor = _without_video(kind).from_pretrained(folder, **known)
        processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil", **known)
    else:
        processor = AutoProcessor.from_pretrained(folder, **known)
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


_WITH_VIDEO = ["image_processor", "tokenizer", "video_processor"]


def _without_video(kind: type) -> type:
    """The processor class `kind` without a video processor: `__init__` says to transformers what to load."""

    class PictureProcessor(kind):
        def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs):
            super().__init__(image_processor, tokenizer, chat_template=chat_template, **kwargs)

    return PictureProcessor


def _on_the_right(tensors: Sequence[torch.Tensor], dim: int, fill: int = 0) -> torch.Tensor:
    """`tensors` below each other (along 0), each with `fill` before it along `dim` up to the longest one's length."""
    length = max(tensor.shape[dim] for tensor in tensors)
    padded = []
    for tensor in tensors:
        shape = list(tensor.shape)
        shape[dim] = length - shape[dim]
        padded.append(torch.cat([tensor.new_full(shape, fill), tensor], dim) if shape[dim] else tensor)
    return torch.cat(padded)


def _looks_back_only(config) -> bool:
    """Whether the keys and values of a picture are all that a question after it needs, and all of them are kept."""
    layers = getattr(config.get_text_config(), "layer_types", None) or ()
    return config.model_type in PREFIXED and all(kind == "full_attention" for kind in layers)


def _end_tokens(model, tokenizer) -> frozenset[int]:
    ends = set()
    for declared in (model.generation_config.eos_token_id, tokenizer.eos_token_id):
        ends.update(declared if isinstance(declared, list) else [declared])
    return frozenset(end for end in ends if end is not None)
