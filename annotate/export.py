"""Accepted captions -> training rows in VHM's layout, their pictures, and a manifest.

    python -m annotate export --kind cot_sft --out DIR

Only revisions whose last review accepts them leave the store as something to learn. The same store gives the
same bytes every time, so nothing here looks at the clock. `manifest.json` is written last: a folder without one
is no export. It also names, by checksum, the texts that people refused or replaced, so that training can leave
them out of the data set that they came from.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from annotate.chosen import SHARE, chosen, refused
from annotate.coco import coco
from annotate.connection import same_bytes, storage_error, write_file
from annotate.labelstudio import CONFIG, task_of
from annotate.rules import Refused, caption_problems
from annotate.store import Store, code_version
from tinyrs.example import BOX_SCALE, Question
from tinyrs.prompt import messages, target

KINDS = {
    "cot_sft": "reasoning and answer, under the thinking system prompt (stage C)",
    "sft": "the answer alone, under the plain system prompt (stages P and S)",
    "dpo": "the accepted text beside the one it corrects, both with reasoning (training.dpo)",
    "grpo": "each question once, with its true answer (stage R)",
    "labelstudio": "tasks that Label Studio imports, and the labelling configuration that they belong to",
    "coco": "the boxes of grounding captions, in pixels, as COCO lays them out",
}
THINKING = ("cot_sft", "dpo", "grpo")
"""Kinds that are trained under the thinking system prompt."""
FOREIGN = ("labelstudio", "coco")
"""Kinds that are for other tools; training does not read them."""
MANIFEST = "manifest.json"
CONFIG_FILE = "config.xml"
_OURS = re.compile(
    rf"pictures/[0-9a-f]{{64}}\.(jpg|png)|({'|'.join(KINDS)})(\.validation)?\.json|{re.escape(CONFIG_FILE)}"
)


def export(
    store: Store,
    out: str | Path,
    kind: str = "cot_sft",
    *,
    force: bool = False,
    refused_prompts: bool = False,
    validation: float = 0.0,
    share: float = SHARE,
    measured_on: bool = False,
    benchmarks: Sequence[str] = (),
) -> dict:
    """Write OUT/<kind>.json, OUT/pictures/<sha256>.jpg or .png and, last, OUT/manifest.json; returns that.

    A picture that is a plain upright JPEG or PNG is copied as it came; every other one is written as the PNG
    that the model and the annotator saw, still named by the sha256 of the upload. Which revision became which
    row is recorded in the store. `force` replaces a complete export of other content. `refused_prompts` adds to
    kind grpo the questions whose caption was rejected, where the data set gives an answer of its own.
    `validation` is the share of pictures, drawn by their checksum, whose rows go to OUT/<kind>.validation.json.
    `share`, `measured_on` and `benchmarks` limit what may leave: see annotate/chosen.py. Raises Refused when there
    is nothing to export, a caption's text is not well-formed, or OUT holds another export; StoreFull, StoreError.
    """
    if kind not in KINDS:
        raise Refused(f"There is no kind of export called {kind!r}: use {' or '.join(KINDS)}.")
    if refused_prompts and kind != "grpo":
        raise Refused("Only an export of kind grpo can hold the questions of rejected captions.")
    if not 0 <= validation < 1 or validation and kind in FOREIGN:
        raise Refused(
            "The share for validation is a number from 0 to below 1, of an export that training reads."
        )
    out = Path(out)
    if (out / "pictures").resolve() == store.pictures.resolve():
        raise Refused(f"{out} is the store's own folder: export to another one.")
    captions, left_out = chosen(
        store,
        kind,
        refused_prompts=refused_prompts,
        share=share,
        measured_on=measured_on,
        benchmarks=benchmarks,
    )
    contents, manifest = _plan(store, kind, captions, left_out, validation)
    _make_way(out, manifest, force)
    for name in sorted(name for name in manifest["files"] if name.startswith("pictures/")):
        data = _picture(store, Path(name).stem)
        manifest["files"][name] = hashlib.sha256(data).hexdigest()
        if not same_bytes(out / name, data):
            write_file(out / name, data)
    for name, data in contents.items():
        write_file(out / name, data)
    text = _text(manifest)
    # Before the manifest: if this fails there is no export, and never an export that the store does not know.
    store.record_export(kind, hashlib.sha256(text).hexdigest(), [row["revision"] for row in manifest["rows"]])
    write_file(out / MANIFEST, text)
    return manifest


def _plan(
    store: Store, kind: str, captions: list[dict], left_out: Mapping, validation: float
) -> tuple[dict[str, bytes], dict]:
    """The files of rows, and the manifest, in which the pictures have no checksum yet."""
    # Training rows first: the manifest's rows are in the order of the files.
    captions = sorted(captions, key=lambda caption: _held_out(caption["picture"], validation))
    held = sum(_held_out(caption["picture"], validation) for caption in captions)
    if validation and held in (0, len(captions)):
        raise Refused(f"Of {len(captions)} rows {held} would be for validation: choose another share.")
    for caption in captions:
        _still_sound(caption, kind)
    formats = {sha256: store.picture(sha256) for sha256 in {caption["picture"] for caption in captions}}
    pictures = {sha256: f"pictures/{sha256}{_suffix(each)}" for sha256, each in sorted(formats.items())}
    sizes = {sha256: (each["width"], each["height"]) for sha256, each in formats.items()}
    train = captions[: len(captions) - held]
    contents = {f"{kind}.json": _content(kind, train, pictures, sizes)}
    if held:
        contents[f"{kind}.validation.json"] = _content(kind, captions[-held:], pictures, sizes)
    if kind == "labelstudio":
        contents[CONFIG_FILE] = CONFIG.encode()
    keys = ("caption", "revision", "author", "reviewer", "self_reviewed")
    manifest = {
        "kind": kind,
        "file": f"{kind}.json",
        "count": len(train),
        "box_scale": BOX_SCALE,
        "dialect": "tinyrs",
        "system": "thinking" if kind in THINKING else "plain",
        "schema": code_version(),
        "tasks": _counts(caption["question"].task.value for caption in captions),
        "authors": _counts(caption["author"] for caption in captions),
        "self_reviewed": sum(caption["self_reviewed"] for caption in captions),
        "left_out": left_out,
        "refused": refused(store),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        | dict.fromkeys(pictures.values(), ""),
        "rows": [{"id": _id(caption), **{key: caption[key] for key in keys}} for caption in captions],
    }
    if held:
        manifest["validation"] = {"file": f"{kind}.validation.json", "count": held, "share": validation}
    return contents, manifest


def _held_out(picture: str, share: float) -> bool:
    """All rows of a picture lie on one side, and stay there when others are added."""
    return int(picture[:8], 16) < share * 16**8


def _content(kind: str, captions: Sequence[Mapping], pictures: Mapping, sizes: Mapping) -> bytes:
    if kind == "coco":
        return (json.dumps(coco(captions, pictures, sizes), ensure_ascii=False, indent=1) + "\n").encode()
    if kind == "labelstudio":
        rows = [
            task_of(caption, pictures[caption["picture"]], sizes[caption["picture"]]) for caption in captions
        ]
    else:
        rows = [_row(caption, kind, pictures[caption["picture"]]) for caption in captions]
    return b"[\n" + b",\n".join(_line(row) for row in rows) + b"\n]\n"


# --- rows and files -------------------------------------------------------------------------------------


def _still_sound(caption: Mapping, kind: str) -> None:
    """Asked again, although the review did: the parser may have become stricter since. Raises Refused."""
    reasoning = "" if kind in ("sft", "grpo") else caption["reasoning"]
    problems = caption_problems(caption["question"], reasoning, caption["answer"])
    if problems:
        raise Refused(
            f"Caption {caption['caption']} (revision {caption['revision']}) cannot be exported: correct or "
            f"reject it first. {' '.join(problems)}"
        )


def _id(caption: Mapping) -> str:
    return f"caption-{caption['caption']}-{caption['revision']}"


def _row(caption: Mapping, kind: str, picture: str) -> dict:
    question: Question = caption["question"]
    reasoning = caption["reasoning"] if kind in ("cot_sft", "dpo") else ""
    asked = messages(question, thinking=kind in THINKING)[-1]["content"][-1]["text"]
    row = {
        "id": _id(caption),
        "image": picture,
        "conversations": [
            {"from": "human", "value": f"<image>\n{asked}"},
            {"from": "gpt", "value": target(reasoning, caption["answer"])},
        ],
        "task": question.task.value,
        "labels": list(question.labels),
    }
    return row | ({"rejected": caption["instead_of"]} if kind == "dpo" else {})


def _suffix(picture: Mapping) -> str:
    return ".jpg" if picture["format"] == "JPEG" and not picture["notes"] else ".png"


def _picture(store: Store, sha256: str) -> bytes:
    path = store.picture_path(sha256)
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise storage_error(problem, path) from problem
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Refused(f"The picture {path} is damaged: it is not what its name says.")
    picture = store.picture(sha256)
    if picture["format"] in ("JPEG", "PNG") and not picture["notes"]:
        return data
    from tinyrs.image import open_picture

    written = io.BytesIO()
    open_picture(data).image.save(written, "PNG")
    return written.getvalue()


def _make_way(out: Path, manifest: Mapping, force: bool) -> None:
    """Take away the manifest that lies in `out`, and the files it names that the new one does not."""
    path = out / MANIFEST
    try:
        old = json.loads(path.read_bytes()) if path.exists() else None
    except (OSError, ValueError):
        old = {}
    if old is None:
        return
    if not _same(old, manifest) and not force:
        raise Refused(f"{out} holds another export: choose another folder, or replace it with --force.")
    try:
        path.unlink()
        named = old.get("files") if isinstance(old, dict) else None
        for name in set(named if isinstance(named, dict) else ()) - set(manifest["files"]):
            if _OURS.fullmatch(name):  # a manifest that somebody edited must not name what we delete
                (out / name).unlink(missing_ok=True)
    except OSError as problem:
        raise storage_error(problem, path) from problem


def _same(old: object, new: Mapping) -> bool:
    if not isinstance(old, dict) or not isinstance(old.get("files"), dict):
        return False
    # A picture's name is its checksum already, and the new manifest's are not read yet.
    return {**old, "files": 0} == {**new, "files": 0} and {
        name: "" if name.startswith("pictures/") else digest for name, digest in old["files"].items()
    } == new["files"]


def _counts(values) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _line(row: Mapping) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


def _text(manifest: Mapping) -> bytes:
    return (json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
