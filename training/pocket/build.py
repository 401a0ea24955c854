"""The steps of a pocket build, from pictures to the pair: each looks for its result in --work first."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tinyrs.config import ROOT
from training.pocket.mixtures import LESSONS, MIXTURES, TOGETHER

CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
license: apache-2.0
tags: [remote-sensing, tinyrs]
---
# {name} (pocket)

The Qwen2-VL architecture at 7.7 million parameters, trained from nothing by `python -m training.pocket`. {about}

Before stage P its vision tower was given eyes (scene labels, object maps, the feature maps of two small convolutional
networks) and its language model a sense of place, which is taught again after stage S; this stands in for what Qwen2-VL's own pre-training gives the 2B models.
Stage settings: `training/recipes/pocket_{recipe}.yaml`. It learnt from AID with RSICD captions, NWPU VHR-10, RSVQA samples
and drawn scenes; those data sets are for research use. A share of their pictures, told by content hash, was kept out:
`measured` in `tinyrs.json` holds the scores on it.

It is a demonstration, small and often wrong. Do not decide anything by it.
"""


def say(line: str) -> None:
    """Progress goes to standard error, so that nothing else is ever on standard output."""
    print(line, file=sys.stderr, flush=True)


class Build:
    """The steps of one build. Each looks for its result in `work` first."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.work: Path = args.work
        self.work.mkdir(parents=True, exist_ok=True)

    def pictures(self) -> None:
        """Read the data sets and draw the scenes. Drawn seeds below `drawn` are for training."""
        from training.pocket import pictures
        from training.pocket.paste import pasted

        self.train, self.kept = pictures.load(self.args.data)
        self.train += pictures.drawn(range(self.args.drawn))
        self.train += pasted(self.train, self.args.pasted, self.args.seed)
        self.kept += pictures.drawn(range(10**6, 10**6 + max(20, self.args.drawn // 20)))
        say(f"pictures: {len(self.train):,} to learn from, {len(self.kept):,} kept out")

    def scenes(self, known, side: int = 150):
        """(pictures of `side` pixels, labels, classes) of those in `known` that have a scene label, for the eyes."""
        import torch

        from training.pocket.teacher import stack

        classes = sorted({each.label for each in self.train if each.label})
        labelled = [each for each in known if each.label in classes]
        return (
            stack([each.pixels for each in labelled], side),
            torch.tensor([classes.index(each.label) for each in labelled]),
            classes,
        )

    def network(self, name: str, empty, train):
        """The network of --work with that name: what `empty` makes with the weights that lie there, or what `train` makes."""
        from safetensors.torch import save_file

        from training.checkpoint import with_weights

        path = self.work / f"{name}.safetensors"
        if path.exists():
            return with_weights(empty(), path)
        made = train(self.unfinished(name))
        save_file({key: value.contiguous() for key, value in made.state_dict().items()}, path)
        self.unfinished(name).unlink(missing_ok=True)
        return made

    def unfinished(self, name: str) -> Path:
        """Where the training of that name keeps its state until its result is there."""
        return self.work / f"{name}.state"

    def done(self, model, base: Path, folder: Path) -> None:
        """Save `model` as the result `folder`, with the files of `base`, and forget what its training had kept."""
        from training.checkpoint import save_like

        save_like(model, base, folder)
        self.unfinished(folder.name).unlink(missing_ok=True)

    def teacher(self):
        """The convolutional teacher."""
        from training.pocket.batches import SceneBatches
        from training.pocket.teacher import SIDE, Teacher, accuracy, train_teacher

        train, kept = self.scenes(self.train), self.scenes(self.kept)
        batches = SceneBatches(*train, seed=self.args.seed)
        teacher = self.network(
            "teacher",
            lambda: Teacher(len(train[2])),
            lambda kept: train_teacher(batches, self.args.teacher_minutes, kept=kept, say=say),
        )
        say(f"teacher: {accuracy(teacher, *kept[:2], SIDE):.3f} of {len(kept[0])} kept-out scenes right")
        return teacher

    def detector(self):
        """The convolutional finder of objects."""
        from training.pocket.batches import ObjectBatches
        from training.pocket.detector import Detector, train_detector

        objects = ObjectBatches(self.train, self.args.seed)
        detector = self.network(
            "detector",
            Detector,
            lambda kept: train_detector(objects, self.args.detector_minutes, kept=kept, say=say),
        )
        say(f"detector: {self.spotted(detector)}")
        return detector

    def spotted(self, reader) -> dict[str, float]:
        """What `reader` finds of the objects in kept-out pictures, real ones where there are any."""
        from training.pocket.detector import spotted
        from training.pocket.model import MAX_PIXELS

        known = [each for each in self.kept if each.complete]
        return spotted(reader, [each for each in known if each.source != "drawn"] or known, MAX_PIXELS)

    def start(self) -> Path:
        """An untrained checkpoint with a tokenizer made for what it will read and write."""
        folder = self.work / "0_start"
        if not (folder / "tinyrs.json").exists():
            from training.pocket.model import save_untrained
            from training.pocket.rows import VariedRows
            from training.pocket.texts import sample_texts

            rows = VariedRows(self.train, MIXTURES["3_cot_sft"], 1500, True, self.args.seed)
            captions = [caption for each in self.train for caption in each.captions]
            save_untrained(folder, self.args.seed, [*sample_texts(), *captions, *rows.texts()])
        return folder

    def eyes(self) -> Path:
        """The start with a tower that sees."""
        from training.checkpoint import open_network
        from training.pocket.eyes import look_around

        folder = self.work / "0_eyes"
        if not (folder / "tinyrs.json").exists():
            model = open_network(self.start())
            look_around(model.model.visual, self.args.seed)
            self.look(model, "0_eyes")
            self.done(model, self.start(), folder)
        return folder

    def eyes_again(self, base: Path) -> Path:
        """`base` with a tower that has learnt on, and whose tokens its language model still reads."""
        from tinyrs.loading import load_processor
        from training.checkpoint import open_network
        from training.pocket.align import align, to_size
        from training.pocket.batches import normalise
        from training.pocket.rows import VariedRows

        folder = self.work / "2_eyes_again"
        if not (folder / "tinyrs.json").exists():
            model, seeing = open_network(base), open_network(base)
            some = [each for each in self.train if each.label][:64]
            to_size(seeing.model.visual, normalise(self.scenes(some, 140)[0].float()))
            self.look(seeing, folder.name, again=True)
            rows = VariedRows(self.train, MIXTURES["2_more"], self.args.views, False, self.args.seed + 307, together=TOGETHER)
            met = align(model, seeing, load_processor(base), rows, min(self.args.views, 1200), say=say)
            say(f"align: {met:.2f} of the variance of the tokens that the language model knew")
            self.done(model, base, folder)
        return folder

    def look(self, model, name: str, again: bool = False) -> None:
        """Train the tower of `model` in place (training.pocket.eyes)."""
        from training.pocket.batches import ObjectBatches, SceneBatches
        from training.pocket.eyes import train_eyes
        from training.pocket.model import LARGE
        from training.pocket.teacher import accuracy

        teacher, detector = self.teacher(), self.detector()
        train, kept = self.scenes(self.train, LARGE), self.scenes(self.kept, LARGE)

        def after(eyes) -> None:
            right = " and ".join(f"{accuracy(eyes, *kept[:2], side):.3f} at {side}" for side in (140, LARGE))
            say(f"eyes: of {len(kept[0])} kept-out scenes {right} pixels, objects {self.spotted(eyes.find)}")

        train_eyes(
            model.model.visual,
            SceneBatches(*train, seed=self.args.seed + 401 * again),
            ObjectBatches(self.train, self.args.seed + 401 * again),
            self.args.eyes_minutes,
            teacher,
            detector,
            kept=self.unfinished(name),
            say=say,
            after=after,
            again=again,
        )

    def lessons(self, name: str, base: Path, steps: int) -> Path:
        """`base` with a language model that can tell where things are, after one of LESSONS."""
        from tinyrs.loading import load_processor
        from training.checkpoint import open_network
        from training.pocket.features import read
        from training.pocket.place import train_place
        from training.pocket.rows import VariedRows

        folder = self.work / name
        if (folder / "tinyrs.json").exists():
            return folder
        model, processor = open_network(base), load_processor(base)
        mixture, (peak, offset) = MIXTURES[name], LESSONS[name]
        seed, again = self.args.seed + offset, name != "0_place"
        shown = VariedRows(self.train, mixture, self.args.views, False, seed, together=TOGETHER)
        known = read(model, processor, shown, self.args.views, say=say)
        short = VariedRows(known, mixture, 0, False, seed + 1, together=2 * TOGETHER)
        reasoned = VariedRows(known, mixture, 0, True, seed + 2, together=3)
        rows, kept = [short, short, reasoned], self.unfinished(name)
        train_place(model, processor, rows, steps, peak=peak, again=again, kept=kept, say=say)
        self.done(model, base, folder)
        return folder

    def mean(self, name: str, first: Path, second: Path) -> Path:
        """The checkpoint half-way between two that were learnt one from the other: better than either (Izmailov et al. 2018)."""
        import torch

        from training.checkpoint import open_network, save_like

        folder = self.work / name
        if not (folder / "tinyrs.json").exists():
            model, other = open_network(first), dict(open_network(second).named_parameters())
            with torch.no_grad():
                for key, value in model.named_parameters():
                    value.lerp_(other[key], 0.5)
            save_like(model, first, folder)
        return folder

    def stage(self, name: str, base: Path, count: int) -> Path:
        """One stage of training.sft over `count` varied rows."""
        from training import recipe, sft
        from training.pocket.rows import VariedRows

        folder = self.work / name
        if (folder / "tinyrs.json").exists():
            return folder
        settings = recipe.load(ROOT / "training" / "recipes" / f"pocket_{name}.yaml", seed=self.args.seed)
        rows = VariedRows(
            self.train, MIXTURES[name], count, settings.thinking, self.args.seed,
            together=1 if settings.thinking else TOGETHER,
        )
        say(f"{name}: {count:,} rows, of 300: {dict(rows.counts())}")
        return sft.run(settings, rows, model=base, output=folder)

    def reward(self, base: Path) -> Path:
        """Stage R: what training.grpo makes of `base`, asked what a rule can judge."""
        from training import grpo, recipe
        from training.pocket.pool import Pool

        folder = self.work / "4_grpo"
        if (folder / "tinyrs.json").exists():
            return folder
        settings = recipe.load(ROOT / "training" / "recipes" / "pocket_4_grpo.yaml", seed=self.args.seed)
        rows = Pool(
            self.train, MIXTURES["4_grpo"], self.args.reward_rows,
            thinking=True, seed=self.args.seed + 13, asked=True,
        )  # fmt: skip
        return grpo.run(settings, rows, model=base, output=folder)

    def ship(self, source: Path, name: str, recipe: str, about: str) -> None:
        """Copy a finished stage to --out in bfloat16, without the traces of training; `recipe` is that of its last stage."""
        import torch

        from training.checkpoint import open_network

        target = self.args.out / name
        target.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            if (
                path.is_file()
                and path.name not in ("run.json", "log.jsonl")
                and path.suffix != ".safetensors"
            ):
                shutil.copyfile(path, target / path.name)
        open_network(source).to(torch.bfloat16).save_pretrained(target)
        (target / "model.safetensors").chmod(0o644)
        (target / "README.md").write_text(
            CARD.format(name=name, about=about, recipe=recipe), encoding="utf-8"
        )
        size = sum(path.stat().st_size for path in target.iterdir())
        say(f"{target}: {size / 2**20:.1f} MiB")

    def run(self) -> None:
        """All steps in order, or, of a model that is gone on from, those after its eyes."""
        self.pictures()
        args = self.args
        if args.onward:
            tuned = self.lessons("2_more", self.eyes_again(args.onward), args.more_steps)
        else:
            placed = self.lessons("0_place", self.eyes(), args.place_steps)
            pretrained = self.stage("1_pretrain", placed, args.pretrain_rows)
            again = self.lessons("2_again", self.stage("2_sft", pretrained, args.sft_rows), args.again_steps)
            tuned = self.mean("2_mean", again, self.lessons("2_more", again, args.more_steps))
        self.ship(tuned, "tinyrs", "2_sft", "It answers at once: stages P and S.")
        reasoning = self.stage("3_cot_sft", tuned, args.cot_rows)
        recipe, about = "3_cot_sft", "stages P, S and C"
        if args.reward_rows:
            recipe, about, reasoning = "4_grpo", "stages P, S, C and R", self.reward(reasoning)
        self.ship(reasoning, "tinyrs-r1", recipe, f"It reasons before it answers: {about}.")
