"""The table of models, and what any other name means: a folder, a hub id, or a model behind a server.

What a model needs (its dialect, whether it thinks aloud, its box scale, its pixel budget) is declared, never
read off a name: in `MODELS` below, in the `tinyrs.json` beside a checkpoint, or behind the name itself:

    pocket-r1                                        the table (pocket-r1?max_new_tokens=512 changes a row)
    runs/my-checkpoint                               a folder that holds tinyrs.json
    Qwen2-VL-2B?dialect=qwen2-vl                     a folder that does not
    owner/name@1a2b3c                                a hub id whose repository holds tinyrs.json
    http://127.0.0.1:8000/v1#owner/name?dialect=tinyrs&thinking=1     an OpenAI-compatible server

Looking at the table costs nothing: no torch, no network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tinyrs.config import ROOT
from tinyrs.prompt import DIALECTS

DECLARATION = "tinyrs.json"
"""The file beside a checkpoint that declares what `ModelSpec` needs. `KINDS_OF_VALUE` has its keys."""


class UnknownModel(ValueError):
    """A name that means no model, or a model that does not say how to talk to it; str(e) is a sentence."""


@dataclass(frozen=True)
class ModelSpec:
    """What one model is and how to talk to it.

    name            what the person typed, and what the page shows
    source          a folder, a hub id, or the address of a server, `http://host:port/v1#model`
    dialect         how questions are put and answers are read, one of tinyrs/prompt.py's
    thinking        the model was trained to write its reasoning before its answer
    box_scale       the largest coordinate of the boxes it writes (1000, 100, or 1 for floats)
    min_pixels, max_pixels   a picture is resized to an area between these, in pixels
    max_new_tokens  the longest answer, in tokens
    revision        commit, tag or branch of a hub id; None is what the hub serves, and the engine that is
                    opened says which commit that was
    kind            "local" (weights in this process, by transformers), "openvino" (in this process too, as
                    tinyrs/convert.py wrote them) or "server" (OpenAI-compatible)
    about           one or two sentences for the person who chooses
    measured        what it was measured to reach, as the evaluation wrote it; {} where nobody measured
    system          a system prompt of its own; None is its dialect's
    """

    name: str
    source: str
    dialect: str = "tinyrs"
    thinking: bool = False
    box_scale: int = 1000
    min_pixels: int = 56 * 56
    max_pixels: int = 1280 * 28 * 28
    max_new_tokens: int = 1024
    revision: str | None = None
    kind: str = "local"
    about: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict, hash=False)
    system: str | None = None


def _pocket(name: str, folder: str, thinking: bool, about: str) -> ModelSpec:
    return ModelSpec(
        name,
        str(ROOT / "assets" / "pocket" / folder),
        thinking=thinking,
        min_pixels=112 * 112,
        max_pixels=336 * 336,
        max_new_tokens=256 if thinking else 64,
        about=about,
    )


def _serve(source: str) -> str:
    return (
        f"It needs code of its own to run: serve {source} with an OpenAI-compatible server "
        f"and name it http://127.0.0.1:8000/v1#{source}."
    )


_PAPER = (
    _pocket("pocket", "tinyrs", False, "A few million parameters, trained here; answers at once."),
    _pocket("pocket-r1", "tinyrs-r1", True, "A few million parameters, trained here; reasons, then answers."),
    ModelSpec("tinyrs", "aybora/Qwen2-VL-TinyRS", about="The paper's 2B model after stages P and S."),
    ModelSpec(
        "tinyrs-cot",
        "aybora/Qwen2-VL-TinyRS-CoT",
        thinking=True,
        about="The paper's 2B model after stages P, S and C: it reasons, and was not rewarded yet.",
    ),
    ModelSpec(
        "tinyrs-r1",
        "aybora/Qwen2-VL-TinyRS-R1",
        thinking=True,
        about="The paper's 2B model after all four stages (P, S, C, R).",
    ),
    ModelSpec(
        "tinyrs-pretrain", "aybora/Qwen2-VL-TinyRS-PRETRAIN", about="The paper's 2B model after stage P only."
    ),
    ModelSpec(
        "qwen2-vl-2b",
        "Qwen/Qwen2-VL-2B-Instruct",
        dialect="qwen2-vl",
        revision="895c3a49bc3fa70a340399125c650a463535e71c",
        about="The base model of TinyRS.",
    ),
    ModelSpec(
        "qwen2-vl-7b",
        "Qwen/Qwen2-VL-7B-Instruct",
        dialect="qwen2-vl",
        revision="eed13092ef92e448dd6875b2a00151bd3f7db0ac",
        about="The larger base model.",
    ),
)

_PEERS = (
    ModelSpec(
        "vhm",
        "FitzPC/vhm_7B",
        dialect="vhm",
        kind="server",
        about="VHM, 7B. " + _serve("FitzPC/vhm_7B"),
    ),
    ModelSpec(
        "geochat",
        "MBZUAI/geochat-7B",
        dialect="geochat",
        box_scale=100,
        kind="server",
        about="GeoChat, 7B. " + _serve("MBZUAI/geochat-7B"),
    ),
    ModelSpec(
        "skysensegpt",
        "ll-13/SkySenseGPT-7B-CLIP-ViT",
        dialect="skysensegpt",
        box_scale=100,
        kind="server",
        about="SkySenseGPT, 7B. " + _serve("ll-13/SkySenseGPT-7B-CLIP-ViT"),
    ),
    ModelSpec(
        "lhrs-bot-nova",
        "LHRS/LHRS-Bot-Nova",
        dialect="lhrs",
        box_scale=1,
        kind="server",
        about="LHRS-Bot-Nova, 7B. " + _serve("LHRS/LHRS-Bot-Nova"),
    ),
    ModelSpec(
        "qwen2-vl-rs",
        "PumpkinCat/Qwen2VL-7B-RS",
        dialect="qwen2-vl",
        about="Qwen2-VL-7B-RS of ScoreRS.",
    ),
    ModelSpec(
        "qwen2-vl-rs-r1",
        "PumpkinCat/Qwen2VL-7B-RS-R1",
        dialect="qwen2-vl-think",
        thinking=True,
        max_new_tokens=2048,
        about="Qwen2-VL-7B-RS-R1 of ScoreRS: it reasons, then answers.",
    ),
)

SHIPPED = ("pocket", "pocket-r1")
"""The models whose weights come with this repository."""

MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in (*_PAPER, *_PEERS)}
"""Every model with a name of its own. The pocket pair's own declaration is read by `resolve`, not here."""

KINDS_OF_VALUE = {
    "dialect": "text",
    "thinking": "flag",
    "box_scale": "count",
    "min_pixels": "count",
    "max_pixels": "count",
    "max_new_tokens": "count",
    "system": "text",
    "about": "text",
    "measured": "table",
    "kind": "text",
}

HERE = ("local", "openvino")
"""The kinds that weights in a folder can declare."""


def resolve(name: str) -> ModelSpec:
    """The model that `name` means (the module says which names there are).

    Raises `UnknownModel` with one sentence. Reads at most one small file; only a hub id that is not in the
    table asks the hub, and only for its `tinyrs.json`.
    """
    if not isinstance(name, str) or not name.strip():
        raise UnknownModel("No model was named.")
    name = name.strip()
    base, _, query = name.partition("?")
    if base in MODELS:
        spec, typed = MODELS[base], _typed(query, name)
        return _from_folder(spec, Path(spec.source), typed) if base in SHIPPED else _with(spec, {}, typed)
    if re.match(r"https?://", name):
        return _server(name)
    for folder, typed in ((Path(name), ""), (Path(base), query)):
        if _is_folder(folder):
            return _from_folder(ModelSpec(name, str(folder)), folder, _typed(typed, name))
    if match := re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", base):
        return _from_hub(name, match[1], match[2], _typed(query, name))
    raise UnknownModel(
        f"No model is called {_shown(name)}: give a name of the table ({', '.join(MODELS)}), a folder, "
        "a hub id like owner/name, or an address like http://127.0.0.1:8000/v1#model."
    )


def table() -> list[tuple[ModelSpec, bool]]:
    """Every model of the table as `resolve` sees it, and whether it is here, with nothing to fetch."""
    rows = []
    for spec in MODELS.values():
        try:
            rows.append((resolve(spec.name), spec.name in SHIPPED))
        except UnknownModel:
            rows.append((spec, False))
    return rows


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long for a path, or a NUL in it
        return False


def _shown(name: str) -> str:
    return repr(name if len(name) <= 120 else name[:117] + "...")


def _from_folder(spec: ModelSpec, folder: Path, typed: Mapping[str, Any] | None = None) -> ModelSpec:
    path = folder / DECLARATION
    typed = typed or {}
    if path.is_file():
        try:
            declared = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UnknownModel(f"{path} cannot be read as JSON.") from None
        return _with(spec, _checked(declared, str(path)), typed)
    if spec.name in SHIPPED:
        raise UnknownModel(
            f"The weights of {spec.name} are not in {folder}; python -m training.pocket builds them."
        )
    if "dialect" in typed:
        return _with(spec, {}, typed)
    raise UnknownModel(
        f"{folder} does not declare how to talk to it: put a {DECLARATION} beside the weights, such as "
        f'{{"dialect": "qwen2-vl", "thinking": false}}, or name it as {spec.name}?dialect=qwen2-vl.'
    )


def _from_hub(name: str, hub_id: str, revision: str | None, typed: Mapping[str, Any]) -> ModelSpec:
    for known in MODELS.values():
        if known.source == hub_id:
            return _with(replace(known, revision=revision or known.revision), {}, typed)
    spec = ModelSpec(name, hub_id, revision=revision)
    if "dialect" in typed:
        return _with(spec, {}, typed)
    try:
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download(hub_id, DECLARATION, revision=revision))
        declared = json.loads(path.read_text(encoding="utf-8"))
    except Exception:  # offline, absent, gated, a broken file: the person can do the same thing about each
        raise UnknownModel(
            f"{_shown(name)} is no folder here, and no {DECLARATION} of that name was found on the hub: to "
            f"load it as a hub model, declare how to talk to it, such as {hub_id}?dialect=qwen2-vl."
        ) from None
    return _with(spec, _checked(declared, f"{DECLARATION} of {hub_id}"), typed)


def _server(name: str) -> ModelSpec:
    form = "an address looks like http://127.0.0.1:8000/v1#model"
    try:
        url = urlsplit(name)
        host, _ = url.hostname, url.port
    except ValueError:
        raise UnknownModel(f"{_shown(name)} is not an address; {form}.") from None
    if url.username or url.password:
        raise UnknownModel(
            "An address must not hold a password: it would be shown; set OPENAI_API_KEY instead."
        )
    model, _, query = url.fragment.partition("?")
    if not host or not model or url.query:
        raise UnknownModel(f"{_shown(name)} does not name a server and a model; {form}.")
    typed = _typed(query, name)
    for known in MODELS.values():
        if model in (known.name, known.source):
            spec = replace(known, name=name, source=name, kind="server", revision=None, measured={})
            return _with(replace(spec, about=f"{known.name}, behind {url.netloc}."), {}, typed)
    about = f"{model}, behind {url.netloc}."
    if "dialect" not in typed:
        about += " Its dialect was not declared: tinyrs is taken."
    return _with(ModelSpec(name, name, kind="server", about=about), {}, typed)


def _with(spec: ModelSpec, declared: Mapping[str, Any], typed: Mapping[str, Any]) -> ModelSpec:
    values = {**declared, **typed}
    if not values:
        return spec
    if "dialect" in values and "box_scale" not in values:
        values["box_scale"] = int(DIALECTS[values["dialect"]].box_scale)
    spec = replace(spec, **values)
    if spec.min_pixels > spec.max_pixels:
        raise UnknownModel(
            f"{spec.name}: min_pixels is {spec.min_pixels}, which is above max_pixels, {spec.max_pixels}."
        )
    return spec


def _typed(query: str, name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key == "kind":
            raise UnknownModel(f"{_shown(name)}: what kind of weights they are is declared beside them, not typed.")
        kind = KINDS_OF_VALUE.get(key)
        if kind == "count" and text.isascii() and text.isdigit():
            values[key] = int(text)
        elif kind == "flag" and text in ("0", "1", "true", "false"):
            values[key] = text in ("1", "true")
        else:
            values[key] = text
    return _checked(values, _shown(name))


def _checked(values: Any, where: str) -> dict[str, Any]:
    """`values`, if every key and value means something: a misspelt limit must not be a silent no-op."""
    if not isinstance(values, dict):
        raise UnknownModel(f"{where} must hold a JSON object.")
    for key, value in values.items():
        if key not in KINDS_OF_VALUE:
            raise UnknownModel(
                f"{where} declares {key!r}, which means nothing: {', '.join(KINDS_OF_VALUE)} do."
            )
        kind = KINDS_OF_VALUE[key]
        fits = {
            "text": isinstance(value, str),
            "flag": isinstance(value, bool),
            "count": isinstance(value, int) and not isinstance(value, bool) and value > 0,
            "table": isinstance(value, dict),
        }[kind]
        if not fits and not (key == "system" and value is None):
            wanted = {
                "text": "text",
                "flag": "true or false",
                "count": "a whole number above 0",
                "table": "a table",
            }
            raise UnknownModel(f"{where}: {key} must be {wanted[kind]}, not {_shown(str(value))}.")
    if values.get("kind", "local") not in HERE:
        raise UnknownModel(f"{where}: weights of the kind {values['kind']!r} are not known, only {' and '.join(HERE)}.")
    if values.get("dialect", "tinyrs") not in DIALECTS:
        raise UnknownModel(
            f"{where}: no dialect is called {values['dialect']!r}; there are {', '.join(DIALECTS)}."
        )
    return dict(values)


def weights_digest(folder: Path) -> str:
    """sha256 over the weight files of a checkpoint: its identity, whatever it is called."""
    digest = hashlib.sha256()
    for path in (*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("openvino/*"))):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
