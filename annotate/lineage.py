"""Where a text went: from a revision to the exports that hold it, and to the checkpoints that learnt from those.

An export is known by the sha256 of its manifest, which the store wrote down; beside a checkpoint lies
exports.json, which says from which manifests it and the checkpoints before it learnt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from annotate.rules import Refused
from annotate.store import Store


def of_caption(store: Store, caption: int, checkpoints: Sequence[str | Path] = ()) -> dict:
    """Every revision of `caption`, oldest first, and where each went. Raises NotFound, Refused.

    {"caption": id, "revisions": [{"revision", "author", "created_at", "verdicts": ["accept by Bob", ...], "exports":
    [{"export", "kind", "sha256", "row", "created_at", "checkpoints": [name, ...]}, ...]}, ...]}.
    """
    learnt = {Path(folder).name: set(learnt_from(folder)) for folder in checkpoints}
    exports = store.exports_of(caption)
    for export in exports:
        export["checkpoints"] = sorted(name for name, known in learnt.items() if export["sha256"] in known)
    return {
        "caption": caption,
        "revisions": [
            {
                "revision": row["id"],
                "author": row["author"],
                "created_at": row["created_at"],
                "verdicts": [f"{review['verdict']} by {review['author']}" for review in row["reviews"]],
                "exports": [
                    {key: value for key, value in export.items() if key != "revision"}
                    for export in exports
                    if export["revision"] == row["id"]
                ],
            }
            for row in store.history(caption)
        ],
    }


def of_checkpoint(store: Store, folder: str | Path) -> dict:
    """The revisions that a checkpoint learnt from, by export. Raises Refused for a folder that is none.

    {"checkpoint": name, "exports": [{"sha256", "export", "kind", "rows", "created_at", "revisions": [id, ...]}, ...]};
    of an export that this store did not write only the sha256 is there.
    """
    found = []
    for sha256 in learnt_from(folder):
        with store.read() as db:
            row = next(iter(db.query("SELECT * FROM exports WHERE sha256 = ?", [sha256])), None)
            revisions = db.conn.execute(
                "SELECT revision FROM export_rows WHERE export = ? ORDER BY row", [row["id"] if row else 0]
            ).fetchall()
        known = row and {key: row[key] for key in ("kind", "rows", "created_at")} | {"export": row["id"]}
        found.append(
            {"sha256": sha256, **(known or {}), **({"revisions": [r for (r,) in revisions]} if row else {})}
        )
    return {"checkpoint": Path(folder).name, "exports": found}


def learnt_from(folder: str | Path) -> list[str]:
    """The sha256 of each manifest that a checkpoint learnt from, in order. Raises Refused."""
    path = Path(folder) / "exports.json"
    try:
        found = json.loads(path.read_bytes())["exports"]
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(
            f"{folder} does not say what it learnt from: it has no exports.json that can be read."
        ) from None
    if not isinstance(found, list) or not all(isinstance(sha256, str) for sha256 in found):
        raise Refused(f"{path} must hold a list of checksums.")
    return found


def told(found: dict) -> str:
    """Either answer in lines for a person."""
    if "checkpoint" in found:
        lines = [f"{found['checkpoint']} learnt from {len(found['exports'])} exports."]
        for export in found["exports"]:
            known = (
                f"export {export['export']}, {export['kind']}, {export['created_at']}: revisions "
                if "export" in export
                else "not of this store"
            )
            lines.append(
                f"{export['sha256'][:12]}  {known}{', '.join(map(str, export.get('revisions', [])))}"
            )
        return "\n".join(lines)
    lines = []
    for row in found["revisions"]:
        verdicts = f"; {', '.join(row['verdicts'])}" if row["verdicts"] else ""
        lines.append(f"revision {row['revision']} by {row['author']}, {row['created_at']}{verdicts}")
        for export in row["exports"]:
            learnt = f", learnt by {', '.join(export['checkpoints'])}" if export["checkpoints"] else ""
            lines.append(
                f"    export {export['export']} ({export['kind']}, {export['sha256'][:12]}), row {export['row']}{learnt}"
            )
    return "\n".join(lines)
