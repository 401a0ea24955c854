"""The model card: what a checkpoint came from, what it learnt, how it was trained, what it was measured to reach.

    python -m training.card runs/grpo --scores runs/aid runs/grounding
    python -m training.card runs/grpo --push_to_hub owner/name

Training writes the card; this command puts the numbers of `training.evaluate` (each folder's scores.json) into it and
beside the checkpoint, from where the app reads them, or sends the checkpoint to the hub, as a private repository. The
token is read from HF_TOKEN and from nowhere else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinyrs.config import ROOT
from tinyrs.strictjson import BadData, load_json
from tinyrs.whole import write_whole
from training.recipe import BadRecipe, Recipe
from training.tables import grid, percent

START, END = "<!-- measured -->", "<!-- /measured -->"
KEPT = ("n", "strict", "strict_interval", "majority", "mean_iou", "well_formed")
"""What is taken from a scores.json."""

STAYS = ("checkpoint-*", "*.part", "run.json", "completions.jsonl", "judge/*", "runs/*", "adapter/README.md")
"""What the hub does not get: what only a run needs, and what a judge was asked."""


def card(recipe: Recipe, base: str | Path, name: str, measured: dict, log: Sequence[dict], rows=()) -> str:
    """The card of a checkpoint that was just trained. Nothing in it is a path of this machine."""
    local = Path(base).exists()
    source = Path(base).name if local else str(base)
    hub = f"base_model: {base}\n" if "/" in str(base) and not local else ""
    settings = {key: value for key, value in recipe.trajectory().items() if value is not None}
    count = measured.get("processes", 1)
    processes = f" on {count} processes" if count > 1 else ""
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
{hub}tags: [remote-sensing, tinyrs, {recipe.stage}]
---
# {name}

{recipe.about}

Stage `{recipe.stage}` of TinyRS, from `{source}`: {measured["rows"]:,} rows, {measured["steps"]:,} steps, \
{measured["seconds"]:,} seconds{processes}. {"It reasons before it answers." if recipe.thinking else "It answers at once."}
{_curve(log)}
## Measured

{START}
{measured_table({})}
{END}

## Data

{_table(("data", ""), _data(recipe, rows))}

## Recipe

Code: {commit()}.

{_table(("setting", "value"), settings)}
"""


def _table(head: tuple[str, str], rows: Mapping) -> str:
    return grid(head, [(key, str(value).replace("|", "\\|")) for key, value in rows.items()])


def _curve(log: Sequence[dict]) -> str:
    text = ""
    for name in ("loss", "reward"):
        lines = [line for line in log if line.get(name) is not None]
        if lines:
            first, last = lines[0], lines[-1]
            text += f"\n{name.capitalize()}: {first[name]:.3f} at step {first['step']}, {last[name]:.3f} at the end.\n"
    return text


def _data(recipe: Recipe, rows) -> dict:
    """What was learnt from: counts by task, a checksum over what the rows say, and the exports' own manifests."""
    told = {"rows": f"{len(rows):,}"}
    told |= {f"rows, {task}": f"{n:,}" for task, n in sorted(Counter(getattr(rows, "tasks", ())).items())}
    if getattr(rows, "identity", ""):
        told["checksum of the rows"] = rows.identity
    for what, path in (("data", recipe.data), ("corrections", recipe.corrections)):
        if path:
            told[what] = Path(path).name
            told |= {f"{what}, {key}": value for key, value in _manifest(Path(path)).items()}
    return told


def _manifest(path: Path) -> dict:
    path = (path if path.is_dir() else path.parent) / "manifest.json"
    if not path.is_file():
        return {}
    manifest = load_json(path)
    told = {key: manifest[key] for key in ("kind", "count", "self_reviewed") if key in manifest}
    if isinstance(manifest.get("authors"), dict):
        told["authors"] = len(manifest["authors"])  # how many: a card is public, and names are theirs
    files = manifest.get("files")
    if isinstance(files, dict) and manifest.get("file") in files:
        told["sha256"] = files[manifest["file"]]
    return told


def commit() -> str:
    """The commit of the code that is running, and whether files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "commit unknown"
    return f"commit {head.stdout.strip()}" + (", with changes" if changes.stdout.strip() else "")


# ---- scores


def measured_table(measured: Mapping) -> str:
    """Strict scores with their 95 % intervals, in Markdown."""
    if not measured:
        return "Not measured yet: `python -m training.evaluate`, then `python -m training.card`."
    head = ("benchmark", "n", "strict %", "95 % interval", "mean IoU", "well-formed %", "majority %")
    rows = []
    for name, row in measured.items():
        low, high = row["strict_interval"]
        overlap = row.get("mean_iou")
        rows.append(
            (
                name,
                str(row["n"]),
                percent(row["strict"]),
                f"{percent(low)} to {percent(high)}",
                "-" if overlap is None else f"{overlap:.3f}",
                percent(row.get("well_formed")),
                percent(row.get("majority")),
            )
        )
    return grid(head, rows)


def add_scores(folder: Path, scores: Sequence[Path]) -> dict:
    """Put what scores.json files say into tinyrs.json and the card of the checkpoint `folder`; returns all of it.

    `scores` are folders, looked through to any depth. BadData where one holds none, or `folder` is no checkpoint.
    """
    path = folder / "tinyrs.json"
    if not path.is_file():
        raise BadData(f"{folder} is no finished checkpoint: it has no tinyrs.json.")
    told = load_json(path)
    measured = dict(told.get("measured") or {})
    for place in scores:
        found = sorted(place.rglob("scores.json"))
        if not found:
            raise BadData(f"{place} holds no scores.json.")
        for each in found:
            numbers = load_json(each)
            try:
                low, high = map(float, numbers["strict_interval"])
                row = {
                    "n": int(numbers["n"]),
                    "strict": float(numbers["strict"]),
                    "strict_interval": [low, high],
                }
                name = str(numbers["benchmark"])
            except (LookupError, TypeError, ValueError):
                raise BadData(f"{each} holds no strict score.") from None
            measured[name] = row | {key: numbers[key] for key in KEPT[3:] if numbers.get(key) is not None}
    write_whole(path, json.dumps(told | {"measured": measured}, indent=1, ensure_ascii=False) + "\n")
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else f"# {folder.name}\n"
    block = f"{START}\n{measured_table(measured)}\n{END}"
    before, mark, rest = text.partition(START)
    rest = rest.partition(END)[2] if mark else ""
    write_whole(readme, before + block + rest if mark else f"{text.rstrip()}\n\n## Measured\n\n{block}\n")
    return measured


# ---- the hub


def token() -> str:
    """The hub's token, from the environment; BadRecipe, without it, where there is none."""
    if not os.environ.get("HF_TOKEN"):
        raise BadRecipe("push_to_hub needs a token that may write, in the environment as HF_TOKEN.")
    return os.environ["HF_TOKEN"]


def push(folder: Path, name: str) -> str:
    """Send the finished checkpoint `folder` to the hub as `name` (owner/name), private if it is new; its address."""
    from huggingface_hub import HfApi

    from tinyrs.engine import redact

    if not (folder / "tinyrs.json").is_file():
        raise BadRecipe(f"{folder} is no finished checkpoint: it has no tinyrs.json.")
    api = HfApi(token=token())
    try:
        api.create_repo(name, private=True, exist_ok=True)
        sent = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            ignore_patterns=list(STAYS),
            commit_message="Checkpoint and card",
        )
    except Exception as error:  # the hub's own, and whatever its client lets through
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadRecipe(f"{name} was not sent to the hub: {redact(reason)[:300]}") from None
    return str(sent)


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.card`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--scores", type=Path, nargs="+", default=[], metavar="DIR", help="what was measured")
    parser.add_argument("--push_to_hub", metavar="OWNER/NAME", help="send it to the hub; needs HF_TOKEN")
    args = parser.parse_args(argv)
    try:
        if args.push_to_hub:
            Recipe(push_to_hub=args.push_to_hub)  # one check of the name
            token()
        print(measured_table(add_scores(args.checkpoint, args.scores)))
        if args.push_to_hub:
            print(f"Sent to {push(args.checkpoint, args.push_to_hub)}")
    except (BadData, BadRecipe) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or args.checkpoint} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
