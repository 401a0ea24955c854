"""docs/benchmarks.md and the README's lines about speed, from what docs/benchmarks.json holds. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tinyrs.config import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
JSON = ROOT / "docs" / "benchmarks.json"

TITLES = {
    "start": "Starting",
    "app": "A visitor's wait",
    "engine": "One model beside plain `generate` and the machine's floors",
    "follow_up": "A second question about the same picture",
    "batch": "Batches beside one question at a time",
    "choose": "Choosing among labels",
    "visitors": "Several visitors at once",
    "pictures": "Memory after many pictures",
    "two_against_seven": "2B beside 7B",
}


def page(stored: Mapping[str, Mapping]) -> str:
    """The page, in Markdown."""
    parts = [
        "# Benchmarks\n\nWritten by `python -m bench` from docs/benchmarks.json; every section names the command that "
        "repeats it. Ratios are of two things measured in the same run, turn by turn. \"Clock\" is what a person waits, "
        "other work on the machine included; \"processor\" is the time that this process was given, and the one to "
        "compare where the machine was busy (its load before the run is said)."
    ]
    for name, title in TITLES.items():
        runs = [run for run in (stored.get(name), stored.get(f"{name}-2b")) if run]
        if not runs:
            continue
        parts.append(f"## {title}")
        rows = [line for run in runs for found in run["found"] for line in SECTIONS[name](found)]
        parts.append("\n".join([*HEADS[name], *rows]))
        parts.append("\n".join(f"- {_told(run)}" for run in runs))
        if name in NOTES:
            parts.append(NOTES[name])
    return "\n\n".join(parts) + "\n"


def _told(run: Mapping) -> str:
    return (
        f"`{run['command']}`, {run['day']}, {run['processor']}, {run['cores']} cores, {run['threads']} torch threads, "
        f"load {'unknown' if run['load'] is None else run['load']} before, torch {run['torch']}, "
        f"transformers {run['transformers']}{'. ' + run['note'] if run.get('note') else ''}"
    )


def quoted(stored: Mapping[str, Mapping]) -> str:
    """What the README says of speed: one line for each thing that was measured, with its number."""
    lines = []
    if run := stored.get("start"):
        (found,) = run["found"]
        lines.append(
            f"The page is up after {found['page_up_processor']:.1f} s, before torch is imported; torch takes "
            f"{found['libraries_processor']:.1f} s, the pocket pair {found['pair_processor']:.1f} s more."
        )
    if run := stored.get("app"):
        (found,) = run["found"]
        lines.append(
            f"The page's models read a picture as soon as it is chosen. From the click to the first words "
            f"{found['first_words']['median']:.2f} s; asked without a page about a new picture they need "
            f"{found['bare_words']['median']:.2f} s, about one that they have read {found['read_words']['median']:.2f} s "
            f"(n = {found['questions'] - 1})."
        )
    for name in ("follow_up", "follow_up-2b"):
        for found in stored.get(name, {}).get("found", ()):
            lines.append(
                f"A second question about a picture, {found['model']}: first word after "
                f"{found['processor']['ratio']:.2f} of the first one's time, {found['same']} of {found['pairs']} "
                "answers as plain `generate` writes them."
            )
    if run := stored.get("two_against_seven"):
        (found,) = run["found"]
        ratio = found["ratio"]
        lines.append(
            f"2B beside 7B: {ratio['gib']:.2f} of the memory, {ratio['first']:.2f} of the time to the first token, "
            f"{ratio['token']:.2f} for each later one."
        )
    command = "(`python -m bench`, all of it in [docs/benchmarks.md](docs/benchmarks.md); processor time, medians)"
    return "\n".join(["How fast it is " + command + ":", "", *(f"- {line}" for line in lines)])


def _start(found: Mapping) -> Iterator[str]:
    early = "before" if found["torch_before_page"] else "after"
    helps = "with" if found["help_loads_torch"] else "without"
    yield f"| `python -m tinyrs --help`, {helps} torch | {found['help']:.2f} |"
    yield f"| page up (torch is imported {early} that) | {found['page_up']:.2f} ({found['page_up_processor']:.2f} of processor) |"
    yield f"| importing torch and transformers | {found['libraries']:.2f} ({found['libraries_processor']:.2f} of processor) |"
    yield f"| pocket pair loaded, a word from each, after that | {found['pair']:.2f} ({found['pair_processor']:.2f} of processor) |"


def _app(found: Mapping) -> Iterator[str]:
    count = found["questions"] - 1
    for name, label in (
        ("first_words", "click to the first words of TinyRS"),
        ("bare_words", "the same without a page"),
        ("read_words", "the same without a page, of a picture that was read"),
        ("a_done", "click to TinyRS done"),
        ("b_done", "click to TinyRS-R1 done"),
    ):
        yield f"| {label} | {found[name]['median']:.3f} | {found[name]['max']:.3f} | {count} |"
    yield f"| added by the page, of medians | {found['added']:.3f} | | |"


def _engine(found: Mapping) -> Iterator[str]:
    floors = found["floors"]
    for name, label in (("first", "first token"), ("token", "later token")):
        for clock in ("processor", "clock"):
            ours, bare = (found[clock][way][name] for way in ("engine", "generate"))
            yield (
                f"| {found['model']}, {found['dtype']} | {label} | {clock} | {1000 * ours:.1f} | {1000 * bare:.1f} "
                f"| {ours / bare:.2f} | {1000 * floors[name]:.1f} | {ours / floors[name]:.1f} | {found['peak_mib']:.0f} "
                f"| {found['n']} |"
            )


def _follow_up(found: Mapping) -> Iterator[str]:
    for clock in ("processor", "clock"):
        told = found[clock]
        yield (
            f"| {found['model']} | {clock} | {1000 * told['plain']:.0f} | {1000 * told['first']:.0f} "
            f"| {1000 * told['follow_up']:.0f} | {told['ratio']:.3f} | {found['same']} of {found['pairs']} "
            f"| {found['kept_mib']:.1f} |"
        )


def _batch(found: Mapping) -> Iterator[str]:
    for clock in ("processor", "clock"):
        told = found[clock]
        yield (
            f"| {found['model']} | {found['a_picture']} | {clock} | {told['alone']:.2f} | {told['together']:.2f} "
            f"| {told['ratio']:.2f} | {found['same']} of {found['rows']} | {found['batch']} | {found['tokens']:.1f} |"
        )


def _choose(found: Mapping) -> Iterator[str]:
    for way, label in (("free", "written freely"), ("chosen", "chosen")):
        told = found[way]
        yield (
            f"| {found['model']}, {found['data']} | {label} | {100 * told['right']:.1f} | {1000 * told['seconds']:.1f} "
            f"| {told['tokens']:.1f} | {found['rows']} | {found['same']} of {found['labels']} |"
        )


def _visitors(found: Mapping) -> Iterator[str]:
    for way, label in (("in_turn", "in turn"), ("shared", "shared")):
        told = found[way]
        yield (
            f"| {found['model']}, {found['visitors']} | {label} | {told['first']['median']:.2f} | {told['first']['max']:.2f} "
            f"| {told['done']['median']:.2f} | {told['done']['max']:.2f} | {told['processor']:.2f} | {found['same']} |"
        )


def _pictures(found: Mapping) -> Iterator[str]:
    when = "| never |  " if found["full_after"] is None else f"| {found['full_after']} | {found['mib_when_full']:.0f} "
    yield (
        f"| {found['model']} {when}| {found['pictures']} | {found['mib']:.0f} "
        f"| {found['kept_mib']:.0f} of {found['limit_mib']:.0f} | {found['kept']} |"
    )


def _sizes(found: Mapping) -> Iterator[str]:
    for name, label, form in (
        ("parameters", "parameters", "{:,}"),
        ("gib", "GiB in 16 bits, with one picture kept", "{:.1f}"),
        ("first", "s to the first token", "{:.2f}"),
        ("token", "s for each later token", "{:.3f}"),
    ):
        both = " | ".join(form.format(found[size][name]) for size in ("2B", "7B"))
        yield f"| {label} | {both} | {found['ratio'][name]:.2f} |"
    for name in ("answer of 5 tokens", "answer of 201 tokens"):
        yield f"| {name} | | | {found['ratio'][name]:.2f} |"


def _head(*cells: str) -> tuple[str, str]:
    return f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"


SECTIONS = {
    "start": _start,
    "app": _app,
    "engine": _engine,
    "follow_up": _follow_up,
    "batch": _batch,
    "choose": _choose,
    "visitors": _visitors,
    "pictures": _pictures,
    "two_against_seven": _sizes,
}
HEADS = {
    "start": _head("", "seconds, median"),
    "app": _head("seconds", "median", "longest", "n"),
    "engine": _head("model", "", "time", "ms", "`generate`, ms", "ratio", "floor, ms", "x floor", "MiB at most", "n"),
    "follow_up": _head(
        "model", "time", "plain `generate`, ms", "first question, ms", "second, ms", "second / first", "same answers", "kept MiB"
    ),
    "batch": _head(
        "model", "questions a picture", "time", "alone, a second", "in batches", "ratio", "same answers", "rows", "tokens each"
    ),
    "choose": _head("model, data", "answers", "right, %", "ms of processor", "tokens", "n", "free labels also chosen"),
    "visitors": _head(
        "model, visitors", "", "first words, s", "longest", "done, s", "longest", "processor, s", "same answers"
    ),
    "pictures": _head(
        "model", "share full after", "MiB then", "pictures", "MiB at the end", "MiB kept of pictures", "of how many"
    ),
    "two_against_seven": _head("", "2B", "7B", "2B / 7B"),
}
NOTES = {
    "engine": (
        "The floor of the first token is its multiplications at the speed of one large product of matrices; that of a "
        "later token is reading the language model's weights once. The pocket pair's later tokens are far from it: its "
        "layers are so small that starting each operation takes longer than the operation."
    ),
    "batch": (
        "A batch saves what is done once for all its rows: reading weights, starting operations. The multiplications "
        "that read a picture are not among them, and they are most of a short answer about a picture of its own: no batch "
        "on a processor makes those four times as fast. A picture that several questions of a batch are about is read once."
    ),
    "two_against_seven": (
        "The paper says that TinyRS needs one third of the memory and of the time of 7B models. Layers are timed one by "
        "one and counted as often as the whole model has them."
    ),
}
