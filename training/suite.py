"""The twelve benchmarks of the paper: what they are called, where they lie, and what the paper got.

    python -m training.evaluate --suite paper --data-root DIR --model NAME --out OUT

`PAPER` is Table 1 of "TinyRS-R1: Compact Multimodal Language Model for Remote Sensing" (Koeksal and Alatan,
2025), in per cent, scored by the evaluation that its authors released.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinyrs.datasets import Scale

SOURCE = 'Table 1 of "TinyRS-R1: Compact Multimodal Language Model for Remote Sensing", 2025'
WHERE = "the data set aybora/scorers_datasets_eval (or LHRS/RSRM) on the Hugging Face hub"

SYSTEMS = ("tinyrs-r1", "tinyrs", "vhm", "qwen2-vl-rs-r1", "qwen2-vl-rs", "lhrs-bot-nova", "geochat")
"""The columns of Table 1, by their names in the model table."""

CAPABILITIES = ("classification", "VQA", "grounding", "knowledge")


@dataclass(frozen=True)
class Benchmark:
    """One file of the published evaluation layout.

    stem        its name without .json; its pictures lie where tinyrs.benchmarks.read_evaluation looks
    kind        cls, vqa, grounding or choice
    n           rows of the published file; 0 where that is not known
    capability  under which the paper averages it
    in_domain   pictures of the same source are in the training set (VHM's); else it measures transfer
    box_scale   what true boxes run to
    """

    stem: str
    title: str
    kind: str
    n: int
    capability: str
    in_domain: bool
    box_scale: Scale = None

    @property
    def paper(self) -> Mapping[str, float]:
        """What the paper got, per cent, by system."""
        return dict(zip(SYSTEMS, TABLE_1[self.title], strict=True))


TABLE_1 = {
    "AID": (90.2, 89.6, 92.0, 82.0, 84.6, 83.1, 73.5),
    "METER-ML": (72.1, 65.1, 74.3, 69.4, 72.2, 72.7, 34.8),
    "NWPU": (92.9, 92.0, 94.8, 84.0, 86.7, 83.9, 89.4),
    "SIRI-WHU": (76.8, 66.9, 70.6, 70.3, 74.6, 72.3, 53.1),
    "WHU-RS19": (95.6, 91.5, 96.5, 90.6, 95.5, 96.2, 85.5),
    "HR-Compare": (73.5, 80.6, 83.4, 77.5, 80.3, 89.1, 83.5),
    "HR-Presence": (68.6, 64.5, 62.6, 64.0, 66.3, 84.0, 57.3),
    "LR-Compare": (84.0, 89.9, 90.3, 82.8, 89.1, 88.2, 90.7),
    "LR-Presence": (78.1, 90.4, 89.9, 74.1, 86.4, 84.6, 90.2),
    "LR-Rural": (76.0, 92.0, 89.0, 74.0, 76.0, 68.0, 96.0),
    "RSVG-DIOR": (74.9, 69.4, 55.9, 64.6, 59.2, 31.5, 19.7),
    "LHRS-Bench": (56.8, 57.4, 33.0, 69.2, 66.5, 52.5, 36.2),
}
"""Per cent, in the order of SYSTEMS."""

PAPER = (
    Benchmark("cls_AID", "AID", "cls", 3000, "classification", False),
    Benchmark("cls_METER_ML", "METER-ML", "cls", 565, "classification", True),
    Benchmark("cls_NWPU_RESISC45", "NWPU", "cls", 3150, "classification", True),
    Benchmark("cls_SIRI_WHU", "SIRI-WHU", "cls", 2400, "classification", False),
    Benchmark("cls_WHU_RS19", "WHU-RS19", "cls", 1000, "classification", False),
    Benchmark("RSVQA_HR-comp_RSVQA", "HR-Compare", "vqa", 1000, "VQA", True),
    Benchmark("RSVQA_HR-presence_RSVQA", "HR-Presence", "vqa", 1000, "VQA", True),
    Benchmark("RSVQA_LR-comp_RSVQA", "LR-Compare", "vqa", 950, "VQA", True),
    Benchmark("RSVQA_LR-presence_RSVQA", "LR-Presence", "vqa", 950, "VQA", True),
    Benchmark("RSVQA_LR-rural_urban_RSVQA", "LR-Rural", "vqa", 100, "VQA", True),
    Benchmark("VG_DOIR_RSVG_test", "RSVG-DIOR", "grounding", 7500, "grounding", True, "pixels"),
    Benchmark("LHRS-Bench", "LHRS-Bench", "choice", 0, "knowledge", False),
)
SUITES = {"paper": PAPER}

AVERAGES = {
    "classification": (85.6, 81.0, 85.6, 79.3, 82.7, 81.6, 67.3),
    "VQA": (76.0, 83.5, 83.0, 74.5, 79.6, 82.8, 83.5),
}
"""The averages that the paper prints, per cent, in the order of SYSTEMS."""


def find(root: Path, suite: str = "paper") -> tuple[dict[Benchmark, Path], list[Benchmark]]:
    """(the file of each benchmark that lies below `root`, those that are missing).

    A file lies in `root` itself or in a folder below it; the one least deep is taken.
    """
    stems = {benchmark.stem for benchmark in SUITES[suite]}
    files: dict[str, Path] = {}
    for path in sorted(root.rglob("*.json"), key=lambda path: (len(path.parts), str(path))):
        if path.stem in stems and path.is_file():
            files.setdefault(path.stem, path)
    here = {benchmark: files[benchmark.stem] for benchmark in SUITES[suite] if benchmark.stem in files}
    return here, [benchmark for benchmark in SUITES[suite] if benchmark.stem not in files]


def published_name(stem: str) -> tuple[str, str]:
    """(benchmark, model) of answers called BENCHMARK_MODEL_eval, as the released evaluation calls its files; (`stem`, "")
    where they are called otherwise."""
    for benchmark in PAPER:
        if stem.startswith(f"{benchmark.stem}_") and stem.endswith("_eval"):
            return benchmark.stem, stem[len(benchmark.stem) + 1 : -len("_eval")]
    return stem, ""


def missing_sentence(root: Path, missing: list[Benchmark]) -> str:
    """What is not there, and where to get it."""
    names = ", ".join(f"{benchmark.stem}.json" for benchmark in missing)
    return f"{root} has no {names}: get {'it' if len(missing) == 1 else 'them'} from {WHERE}."
