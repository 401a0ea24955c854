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
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    LogitsProcessor,
    StoppingCriteria,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import logging as transformers_logging

from tinyrs.config import Config
from tinyrs.engine import EngineFailure, EngineUnavailable, Job, Options, Reply, conversation, ending, failure
from tinyrs.example import Question
from tinyrs.models import SHIPPED, ModelSpec

log = logging.getLogger("tinyrs")

SMALL = 2**30
"""Weights of fewer bytes than this are computed in float32 everywhere: small models are fast as it is."""

OUT_OF_MEMORY = "The model ran out of memory on this question; a smaller picture or a smaller model may do."
FAILED = "The model stopped with an error; the log says why."


class LocalEngine:
    """An `Engine` (tinyrs/engine.py) over the weights of `spec.source`, a folder or a hub id.

    One question at a time: the model keeps the positions of the picture it last saw (`rope_deltas`), so a
    lock guards it. `spec.revision` is the commit that was loaded. Raises `EngineUnavailable`.
    """

    def __init__(self, spec: ModelSpec, device: str | None = None) -> None:
        folder = _folder(spec)
        if not Path(spec.source).is_dir():
            spec = replace(spec, revision=folder.name)  # the hub's cache names a snapshot by its commit
        self.spec = spec
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if threads := Config().threads:
            torch.set_num_threads(threads)
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
        return self._answer(pairs, options, threading.Event()) if pairs else []

    def close(self) -> None:
        """Stop what is running and let go of the weights."""
        for job in list(self._jobs):
            job.stop.set()
        if self._lock.acquire(timeout=10):
            self.model = None
            self._lock.release()

    def _answer(
        self,
        pairs: Sequence[tuple[Image.Image, Question]],
        options: Options,
        stop: threading.Event,
        publish: Callable[[Reply], None] | None = None,
    ) -> list[Reply]:
        """The replies to `pairs`; on the way, the first row's to `publish`. Raises `EngineFailure`."""
        error = None
        with self._lock:
            rows = [
                _Row(self.processor.tokenizer, self.spec, options, self._ends, time.perf_counter())
                for _ in pairs
            ]
            try:
                self._generate(pairs, options, rows, stop, publish)
            except EngineFailure as e:
                error = e
            except (MemoryError, torch.OutOfMemoryError) as e:
                error = failure(OUT_OF_MEMORY, e)
            except Exception as e:
                # On a CPU torch has no error class of its own for this.
                full = isinstance(e, RuntimeError) and "allocate memory" in str(e)
                error = failure(OUT_OF_MEMORY if full else FAILED, e)
            if error is not None and self.device != "cpu":
                torch.cuda.empty_cache()
        if error is not None:
            # Raised out here: inside `except` it would keep every tensor of the failed frames alive.
            raise error
        return [row.reply() for row in rows]

    def _generate(self, pairs, options: Options, rows: list[_Row], stop: threading.Event, publish) -> None:
        if stop.is_set():
            return
        if self.model is None:
            raise EngineFailure(f"{self.spec.name} was closed.")
        inputs = self._inputs(pairs).to(self.device)
        progress = _Progress(rows, inputs["input_ids"].shape[1], stop, publish)
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=rows[0].budget,
            eos_token_id=sorted(self._ends),
            pad_token_id=self._pad,
        )
        sampler = [_Sampler(options.temperature, options.seed, len(pairs))] if options.temperature > 0 else []
        with torch.inference_mode():
            self.model.generate(
                **inputs, generation_config=config, stopping_criteria=[progress], logits_processor=sampler
            )

    def _inputs(self, pairs: Sequence[tuple[Image.Image, Question]]):
        """What the model reads: prompts with their pictures, padded on the left."""
        processor, tokenizer = self.processor, self.processor.tokenizer
        texts = [
            processor.apply_chat_template(
                conversation(self.spec, _plain(question, tokenizer)),
                add_generation_prompt=True,
                tokenize=False,
            )
            for _, question in pairs
        ]
        kwargs = {}
        if tokenizer.bos_token and texts[0].startswith(tokenizer.bos_token):
            kwargs["add_special_tokens"] = False  # the template wrote it already
        if "longest_edge" in (size := dict(processor.image_processor.size or {})) and hasattr(
            processor.image_processor, "merge_size"
        ):  # the Qwen family and its relatives: areas, not edges
            size = {"shortest_edge": self.spec.min_pixels, "longest_edge": self.spec.max_pixels}
            kwargs["images_kwargs"] = {"size": size}
        return processor(
            text=texts,
            images=[[picture.convert("RGB")] for picture, _ in pairs],
            padding=True,
            return_tensors="pt",
            **kwargs,
        )


@dataclass
class _Row:
    """One answer of a batch, token by token."""

    tokenizer: object
    spec: ModelSpec
    options: Options
    ends: frozenset[int]
    started: float
    ids: list[int] = field(default_factory=list)
    text: str = ""
    first: float | None = None
    seconds: float = 0.0
    done: bool = False
    truncated: bool = False
    _known: int = 0  # ids[:_known] are in `text`
    _context: int = 0  # decoding starts here, so that the tokenizer sees what precedes a new token

    @property
    def budget(self) -> int:
        return self.options.max_new_tokens or self.spec.max_new_tokens

    def take(self, token: int) -> None:
        """Add one token, and see whether the answer ends with it."""
        self.seconds = time.perf_counter() - self.started
        if self.first is None:
            self.first = self.seconds
        if token in self.ends:
            self._read(all_of_it=True)
            self.done = True
            return
        self.ids.append(token)
        before = len(self.text)
        self._read(all_of_it=len(self.ids) >= self.budget)
        if (cut := ending(self.spec, self.text, self.options.stop, before)) is not None:
            self.text, self.done = cut, True
        elif len(self.ids) >= self.budget:
            self.done = self.truncated = True

    def _read(self, all_of_it: bool) -> None:
        """Decode the newest tokens: a few of them, not all again, and no half characters until the end."""
        old = self._decode(self.ids[self._context : self._known])
        new = self._decode(self.ids[self._context :])
        waiting = len(self.ids) - self._known
        if new.endswith("\ufffd") and waiting < 8 and not all_of_it:  # a character has at most 4 bytes
            return
        self.text += new[len(old) :]
        self._context, self._known = self._known, len(self.ids)

    def _decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def reply(self) -> Reply:
        return Reply(self.text, len(self.ids), self.first, self.seconds, self.done, self.truncated)


class _Progress(StoppingCriteria):
    """Reads every token as it is made, and ends each row where its answer ends, or all of them at `stop`."""

    def __init__(self, rows: list[_Row], prompt: int, stop: threading.Event, publish) -> None:
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


def _folder(spec: ModelSpec) -> Path:
    """The folder with the weights of `spec`, fetched from the hub if need be. Raises `EngineUnavailable`."""
    folder = Path(spec.source)
    if not folder.is_dir() and spec.name not in SHIPPED:
        folder = _fetch(spec)
    if any(folder.glob("*.safetensors")):
        return folder
    if spec.name in SHIPPED:
        raise EngineUnavailable(
            f"The weights of {spec.name} are not in {folder}; python -m training.pocket builds them."
        )
    if any(folder.glob("*.bin")):
        raise EngineUnavailable(f"The weights of {spec.name} are not safetensors, and nothing else is read.")
    raise EngineUnavailable(f"There are no weights (*.safetensors) in {folder}.")


def _fetch(spec: ModelSpec) -> Path:
    from huggingface_hub import snapshot_download

    error = None
    try:
        # No code and no pickles: they are not even downloaded.
        wanted = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
        return Path(snapshot_download(spec.source, revision=spec.revision, allow_patterns=wanted))
    except Exception as e:
        error = failure(
            f"{spec.name} is not on this machine, and {spec.source} could not be fetched from the hub.",
            e,
            EngineUnavailable,
        )
    raise error


def _end_tokens(model, tokenizer) -> frozenset[int]:
    ends = set()
    for declared in (model.generation_config.eos_token_id, tokenizer.eos_token_id):
        ends.update(declared if isinstance(declared, list) else [declared])
    return frozenset(end for end in ends if end is not None)


def _plain(question: Question, tokenizer) -> Question:
    """`question` with every control token of this tokenizer broken by an invisible character.

    `prompt.defuse` knows their usual form, `<...>`; a tokenizer may have others ("[INST]").
    """
    text = question.text
    for token in _control_tokens(tokenizer):
        text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return replace(question, text=text)


def _control_tokens(tokenizer) -> set[str]:
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {token for token in added | set(tokenizer.all_special_tokens) if len(token) > 1}
