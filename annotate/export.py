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
from collections.abc import Mapping
from pathlib import Path

from annotate.connection import same_bytes, storage_error, write_file
from annotate.rows import ask
from annotate.rules import Refused, caption_problems
from annotate.store import Store, code_version
from tinyrs.example import BOX_SCALE, Question
from tinyrs.prompt import messages, target, told_digest

KINDS = {
    "cot_sft": "reasoning and answer, under the thinking system prompt (stage C)",
    "sft": "the answer alone, under the plain system prompt (stages P and S)",
    "dpo": "the accepted text beside the one it corrects, both with reasoning (training.dpo)",
    "grpo": "each question once, with its true answer (stage R)",
}
THINKING = ("cot_sft", "dpo", "grpo")
"""Kinds that are trained under the thinking system prompt."""
MANIFEST = "manifest.json"
_OURS = re.compile(r"pictures/[0-9a-f]{64}\.(jpg|png)|(" + "|".join(KINDS) + r")\.json")


def export(
    store: Store,
    out: str | Path,
    kind: str = "cot_sft",
    *,
    force: bool = False,
    refused_prompts: bool = False,
) -> dict:
    """Write OUT/<kind>.json, OUT/pictures/<sha256>.jpg or .png and, last, OUT/manifest.json; returns that.

    A picture that is a plain upright JPEG or PNG is copied as it came; every other one is written as the PNG
    that the model and the annotator saw, still named by the sha256 of the upload. Which revision became which
    row is recorded in the store. `force` replaces a complete export of other content. `refused_prompts` adds to
    kind grpo the questions whose caption was rejected, where the data set gives an answer of its own.
    Raises Refused when there is nothing to export, a caption's text is not well-formed, or OUT holds another
    export; StoreFull, StoreError.
    """
    if kind not in KINDS:
        raise Refused(f"There is no kind of export called {kind!r}: use {' or '.join(KINDS)}.")
    if refused_prompts and kind != "grpo":
        raise Refused("Only an export of kind grpo can hold the questions of rejected captions.")
    out = Path(out)
    if (out / "pictures").resolve() == store.pictures.resolve():
        raise Refused(f"{out} is the store's own folder: export to another one.")
    rows, manifest = _plan(store, kind, refused_prompts)
    _make_way(out, manifest, force)
    for name in sorted(name for name in manifest["files"] if name.startswith("pictures/")):
        data = _picture(store, Path(name).stem)
        manifest["files"][name] = hashlib.sha256(data).hexdigest()
        if not same_bytes(out / name, data):
            write_file(out / name, data)
    write_file(out / manifest["file"], rows)
    text = _text(manifest)
    # Before the manifest: if this fails there is no export, and never an export that the store does not know.
    store.record_export(kind, hashlib.sha256(text).hexdigest(), [row["revision"] for row in manifest["rows"]])
    write_file(out / MANIFEST, text)
    return manifest


def _plan(store: Store, kind: str, refused_prompts: bool) -> tuple[bytes, dict]:
    """The file of rows, and the manifest, in which the pictures have no checksum yet."""
    captions, left_out = _CHOOSE[kind](store.accepted(), _came_in(store))
    if refused_prompts:
        captions += _prompts_of_rejected(store, captions)
    if not captions:
        raise Refused("There is nothing to export: no caption of this kind has been accepted.")
    formats = {sha256: store.picture(sha256) for sha256 in {row["picture"] for row in captions}}
    files = {sha256: f"pictures/{sha256}{_suffix(picture)}" for sha256, picture in formats.items()}
    rows = [_row(caption, kind, files[caption["picture"]]) for caption in captions]
    data = b"[\n" + b",\n".join(_line(row) for row in rows) + b"\n]\n"
    keys = ("caption", "revision", "author", "reviewer", "self_reviewed")
    return data, {
        "kind": kind,
        "file": f"{kind}.json",
        "count": len(rows),
        "box_scale": BOX_SCALE,
        "dialect": "tinyrs",
        "system": "thinking" if kind in THINKING else "plain",
        "schema": code_version(),
        "tasks": _counts(caption["question"].task.value for caption in captions),
        "authors": _counts(caption["author"] for caption in captions),
        "self_reviewed": sum(caption["self_reviewed"] for caption in captions),
        "left_out": left_out,
        "refused": _refused(store),
        "files": {f"{kind}.json": hashlib.sha256(data).hexdigest(), **dict.fromkeys(files.values(), "")},
        "rows": [
            {"id": row["id"], **{key: caption[key] for key in keys}}
            for row, caption in zip(rows, captions, strict=True)
        ],
    }


# --- which captions -------------------------------------------------------------------------------------


def _reasoned(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    # An answer without reasoning is a sound row for sft; for cot_sft it would teach not to reason.
    chosen = [caption for caption in captions if caption["reasoning"]]
    return chosen, {"without reasoning": len(captions) - len(chosen)}


def _all(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    return captions, {"without reasoning": 0}


def _pairs(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    """Captions that were corrected, each with the text that it came in with."""
    chosen, bare, unchanged = [], 0, 0
    for caption in captions:
        reasoning, answer = came_in[caption["caption"]]
        if (reasoning, answer) == (caption["reasoning"], caption["answer"]):
            unchanged += 1
        elif not (reasoning and caption["reasoning"]):
            # The pair would teach whether to reason, not how.
            bare += 1
        else:
            chosen.append({**caption, "instead_of": target(reasoning, answer)})
    return chosen, {"without reasoning": bare, "unchanged": unchanged}


def _prompts(captions: list[dict], came_in: Mapping) -> tuple[list[dict], dict]:
    """One caption for each question: several answers were corrected, the truth is one."""
    asked: dict[tuple, list[dict]] = {}
    for caption in captions:
        asked.setdefault((caption["picture"], caption["question"]), []).append(caption)
    agreed = [
        each[0] for each in asked.values() if all(caption["answer"] == each[0]["answer"] for caption in each)
    ]
    apart = sum(len(each) for each in asked.values() if any(c["answer"] != each[0]["answer"] for c in each))
    return agreed, {"asked twice": len(captions) - len(agreed) - apart, "answers disagree": apart}


_CHOOSE = {"cot_sft": _reasoned, "sft": _all, "dpo": _pairs, "grpo": _prompts}


def _came_in(store: Store) -> dict[int, tuple[str, str]]:
    """Caption -> (reasoning, answer) before anybody corrected it."""
    with store.read() as db:
        rows = db.conn.execute(
            "SELECT caption, reasoning, answer FROM revisions WHERE parent IS NULL"
        ).fetchall()
    return {caption: (reasoning, answer) for caption, reasoning, answer in rows}


def _prompts_of_rejected(store: Store, captions: list[dict]) -> list[dict]:
    """Questions whose caption a person rejected: the reasoning was no good, the data set's answer may be."""
    known = {(caption["picture"], caption["question"]) for caption in captions}
    sql = (
        "SELECT c.id AS caption, h.revision, c.picture, c.question, c.task, c.labels, g.answer,"
        " v.author AS reviewer FROM captions c JOIN heads h ON h.caption = c.id"
        " JOIN given_answers g ON g.caption = c.id JOIN standing_reviews v ON v.id ="
        "  (SELECT max(id) FROM standing_reviews WHERE revision = h.revision AND verdict = 'reject')"
        " WHERE h.state = 'rejected' ORDER BY c.id"
    )
    with store.read() as db:
        rows = list(db.query(sql))
    found = []
    for row in rows:
        ask(row)
        if (row["picture"], row["question"]) not in known:
            known.add((row["picture"], row["question"]))
            found.append({**row, "reasoning": "", "author": "import", "self_reviewed": False})
    return found


def _refused(store: Store) -> list[dict]:
    """The texts that people rejected, or replaced by one that was accepted, as their checksums: no row of a
    data set that says one of these about this picture should be learnt any more. In training/corrections.py
    is the other side of this."""
    sql = (
        "SELECT c.picture, c.question, c.task, c.labels, r.reasoning, r.answer FROM revisions r"
        " JOIN captions c ON c.id = r.caption JOIN heads h ON h.caption = c.id"
        " LEFT JOIN accepted a ON a.caption = c.id LEFT JOIN revisions k ON k.id = a.revision"
        " WHERE r.parent IS NULL AND (h.state = 'rejected' OR (a.revision IS NOT NULL"
        "  AND (r.reasoning, r.answer) <> (k.reasoning, k.answer)))"
        " ORDER BY c.id"
    )
    with store.read() as db:
        rows = list(db.query(sql))
    found = []
    for row in rows:
        ask(row)
        told = told_digest(row["question"].text, row["reasoning"], row["answer"])
        found.append({"picture": row["picture"], "text": told})
    return found


# --- rows and files -------------------------------------------------------------------------------------


def _row(caption: Mapping, kind: str, picture: str) -> dict:
    question: Question = caption["question"]
    reasoning = caption["reasoning"] if kind in ("cot_sft", "dpo") else ""
    # Asked again, although the review did: the parser may have become stricter since.
    problems = caption_problems(question, reasoning, caption["answer"])
    if problems:
        raise Refused(
            f"Caption {caption['caption']} (revision {caption['revision']}) cannot be exported: correct or "
            f"reject it first. {' '.join(problems)}"
        )
    asked = messages(question, thinking=kind in THINKING)[-1]["content"][-1]["text"]
    row = {
        "id": f"caption-{caption['caption']}-{caption['revision']}",
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
