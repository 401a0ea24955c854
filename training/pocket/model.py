"""The pocket architecture: the real Qwen2-VL classes at a few million parameters, and a tokenizer of its own.

`save_untrained(folder)` writes a folder that loads like any Qwen2-VL checkpoint, with random weights: the start
of `python -m training.pocket`, and what the tests use where any model will do.

Sizes were chosen on two cores (dev/LOG.md, "Pocket architecture"). Nothing here is special to us from the
outside: `AutoModelForImageTextToText` loads the folder as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
"""Qwen2-VL's special tokens, in its order; our ids differ from its ids, so the config names them."""

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML with one picture placeholder, as Qwen2-VL writes it, without its default system prompt: ours is
always explicit (tinyrs/prompt.py)."""

VOCABULARY = 2048
NUMBERS = range(0, 1001, 10)
"""The coordinates that the pocket pair writes: 0 to 1000 in tens, which costs a box of 90 units a tenth at most."""


def train_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY):
    """A byte-level BPE tokenizer over `texts`: any text round-trips, and every number of NUMBERS is one token.

    A coordinate is then one choice. Digit by digit, the first 6,000 rows taught nothing of where things are.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    words = Regex(r"\p{N}{1,4}| ?\p{L}+| ?[^\s\p{L}\p{N}]|\s+")
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    line = " ".join(map(str, NUMBERS))
    core.train_from_iterator(
        [*texts, *[line] * 2000],  # often enough that every number is merged whole
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[
            token for token in SPECIAL if token not in ("<|im_end|>", "<|endoftext|>")
        ],
        model_max_length=4096,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def new_config(tokenizer):
    """The pocket configuration: a `Qwen2VLConfig` whose token ids are those of `tokenizer`."""
    from transformers import Qwen2VLConfig

    hidden = 256
    ids = tokenizer.convert_tokens_to_ids
    return Qwen2VLConfig(
        text_config=dict(
            vocab_size=-(-len(tokenizer) // 64) * 64,
            hidden_size=hidden,
            intermediate_size=640,
            num_hidden_layers=5,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            # Qwen2-VL deals its frequencies out in order: time first, then height, and the lowest to width. With its
            # base of a million and a grid of eight tokens, width would turn by a hundredth of a radian, and a model
            # of this size never learns where left is. Few channels for time and height leave width some that turn by
            # 0.3 to 0.1 radians a token, and a dozen that hardly turn at all, by which a word finds what it names
            # however far back the picture lies.
            rope_parameters={"rope_type": "default", "rope_theta": 500.0, "mrope_section": [2, 4, 26]},
            bos_token_id=ids("<|endoftext|>"),
            eos_token_id=ids("<|im_end|>"),
            pad_token_id=ids("<|endoftext|>"),
            tie_word_embeddings=True,
            initializer_range=0.04,
        ),
        vision_config=dict(
            depth=6,
            embed_dim=192,
            hidden_size=hidden,
            num_heads=8,
            mlp_ratio=4,
            patch_size=14,
            spatial_merge_size=2,
            temporal_patch_size=2,
        ),
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def save_processor(tokenizer, folder: Path, min_pixels: int, max_pixels: int) -> None:
    """Write tokenizer, image processor and video processor in the standard form (see STANDARD_FILES).

    The video processor is only a file to us (its class needs torchvision); `AutoProcessor` and vLLM look for it.
    """
    from transformers import Qwen2VLImageProcessorPil

    size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    tokenizer.save_pretrained(folder)
    images = Qwen2VLImageProcessorPil(size=size).to_dict()
    images.pop("image_processor_type", None)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                **images,
                "image_processor_type": "Qwen2VLImageProcessor",
                "processor_class": "Qwen2VLProcessor",
            },
            indent=1,
            default=str,
        )
    )
    video = {
        "video_processor_type": "Qwen2VLVideoProcessor",
        "processor_class": "Qwen2VLProcessor",
        "size": size,
    }
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video, indent=1))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["processor_class"] = "Qwen2VLProcessor"
    path.write_text(json.dumps(config, indent=1))


def number_line(model, tokenizer) -> None:
    """Start the tokens of NUMBERS as points on a line: near numbers have near embeddings, and so near logits."""
    import torch

    table = model.get_input_embeddings().weight.data
    frequencies = torch.arange(32)
    for number in NUMBERS:
        (token,) = tokenizer(str(number))["input_ids"]
        table[token, :32] = 0.06 * torch.cos(math.pi * frequencies * number / max(NUMBERS))


def look_outward(model) -> None:
    """Start the first layer's four heads with something to look at, by biases alone (eyes.py, `look_around`).

    Two let a visual token tell its row and its column: the tower knows only where tokens lie to one another, but
    text before the picture is always as far away as the row or the column says. Two look back in the text, at
    the token before and three before: from the comma ahead of x2 that is x1, from the one ahead of y2 it is y1.
    """
    attention = model.model.language_model.layers[0].self_attn
    width, half = attention.head_dim, attention.head_dim // 2
    queries, keys = attention.q_proj.bias.data.view(-1, width), attention.k_proj.bias.data.view(-1, width)
    attention.q_proj.weight.data *= 0.3
    time, height, _ = model.config.text_config.rope_parameters["mrope_section"]
    for head, end in ((0, time + height), (1, time + height + 4)):
        queries[head, end - 4 : end] = keys[0, end - 4 : end] = 2.8
    turns = model.model.language_model.rotary_emb.inv_freq[:10]
    keys[1, :10] = 5.2
    for head, back in ((2, 1), (3, 3)):
        queries[head, :10] = 5.2 * (turns * back).cos()
        queries[head, half : half + 10] = -5.2 * (turns * back).sin()


MIN_PIXELS, MAX_PIXELS = 112 * 112, 336 * 336
"""The pocket pair's pixel budget: 16 to 144 visual tokens."""
LARGE = math.isqrt(MAX_PIXELS)
"""Pixels of a side of the largest square picture that it sees."""


def save_untrained(
    folder: Path, seed: int = 0, texts: Iterable[str] | None = None, thinking: bool = False
) -> None:
    """Write a pocket checkpoint with random weights into `folder` (created): for tests, and to train from."""
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    from training.pocket.texts import sample_texts

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(sample_texts() if texts is None else texts)
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(new_config(tokenizer))
    number_line(model, tokenizer)
    look_outward(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder, safe_serialization=True)
    save_processor(tokenizer, folder, MIN_PIXELS, MAX_PIXELS)
    declared = {
        "dialect": "tinyrs",
        "thinking": thinking,
        "box_scale": 1000,
        "min_pixels": MIN_PIXELS,
        "max_pixels": MAX_PIXELS,
        "max_new_tokens": 256 if thinking else 64,
        "about": "Random weights.",
        "measured": {},
    }
    (folder / "tinyrs.json").write_text(json.dumps(declared, indent=1) + "\n")
