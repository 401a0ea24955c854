"""Ask a model about a picture, from the command line.

    python -m tinyrs ask harbour.jpg "How many ships are there?" --model pocket-r1
    python -m tinyrs ask harbour.jpg "Identify the location of the dock." --json --save-boxes boxes.png
    python -m tinyrs ask scene.tif "Where is the ship?" --window 8000,2000,2048,2048 --tiles --save-geojson ship.geojson
    python -m tinyrs models
    python -m tinyrs serve --model pocket --port 8000
    python -m tinyrs convert --to openvino-int8 pocket-r1 --out runs/pocket-r1-int8
    python -m tinyrs deploy --repo user/name --dry-run

What was asked for goes to stdout, everything else to stderr. Exit codes: 0 answered, 1 the model failed,
2 the question could not be put (one sentence says why), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tinyrs.example import Task

FORMATS = (".png", ".jpg", ".jpeg", ".webp")
"""What --save-boxes can write."""


class _Refused(ValueError):
    """What was asked for makes no sense; `str(e)` is one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The command line, for `--help` and for the README."""
    top = _Parser(prog="python -m tinyrs", description="Ask small models about pictures from above.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    ask = commands.add_parser("ask", help="ask one question about one picture")
    ask.add_argument("picture", metavar="PICTURE", help="PNG, JPEG, WebP, GIF, TIFF or GeoTIFF")
    ask.add_argument("question", metavar="QUESTION", help="what you want to know")
    ask.add_argument(
        "--model",
        default="pocket-r1",
        help="a name that `python -m tinyrs models` lists, a folder, a hub id, or http://host:port/v1#model "
        "(default: %(default)s)",
    )
    ask.add_argument(
        "--task",
        type=_task,
        metavar="TASK",
        help=f"one of {', '.join(task.value for task in Task)} (default: read off the question)",
    )
    ask.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    ask.add_argument(
        "--save-boxes", type=Path, metavar="FILE", help="also draw the boxes of the answer into FILE"
    )
    ask.add_argument(
        "--save-geojson",
        type=Path,
        metavar="FILE",
        help="also save the boxes in WGS84 (RFC 7946) as FILE, and beside it in the picture's own coordinates",
    )
    ask.add_argument(
        "--save-coco", type=Path, metavar="FILE", help="also save the boxes in pixels, as COCO has them"
    )
    ask.add_argument(
        "--save-csv", type=Path, metavar="FILE", help="also save the boxes as a table with a header"
    )
    ask.add_argument(
        "--bands",
        default="",
        metavar="N,N,N",
        help="bands of a TIFF shown as red, green and blue, counted from 1, or one for gray (default: the file's own)",
    )
    ask.add_argument(
        "--stretch",
        default="",
        metavar="HOW",
        help="auto (default: only what is not 8 bits, from its 2nd to its 98th percentile), minmax, none, "
        "or two percentiles as in 1,99",
    )
    ask.add_argument(
        "--window",
        default="",
        metavar="X,Y,W,H",
        help="ask about a part of a TIFF only: column, row, width and height in pixels of the file",
    )
    ask.add_argument(
        "--tiles",
        action="store_true",
        help="look for a thing in overlapping tiles, one by one, and merge the boxes; this changes the question",
    )
    ask.add_argument(
        "--tile-side", type=_count, metavar="N", help="pixels of a tile's side (default: what the model sees)"
    )
    ask.add_argument(
        "--max-new-tokens", type=_count, metavar="N", help="longest answer (default: the model's own)"
    )
    ask.add_argument(
        "--temperature", type=_temperature, default=0.0, metavar="T", help="0 is greedy (default)"
    )
    ask.add_argument("--seed", type=int, default=0, metavar="N", help="for temperatures above 0 (default: 0)")
    ask.add_argument("--verbose", action="store_true", help="show the log on stderr")
    models = commands.add_parser("models", help="list the models that have a name")
    models.add_argument("--json", action="store_true", help="print a JSON list")
    models.set_defaults(verbose=False)
    serve = commands.add_parser("serve", help="answer behind an OpenAI-compatible address")
    serve.add_argument(
        "--model", default="pocket-r1", help="a name of the table, a folder or a hub id (default: %(default)s)"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument(
        "--port", type=_port, default=8000, metavar="N", help="port; 0 takes a free one (default: %(default)s)"
    )
    serve.add_argument(
        "--name", help="what callers call the model (default: its name, or the last part of its folder or id)"
    )
    serve.set_defaults(verbose=True)
    convert = commands.add_parser("convert", help="make a smaller and faster copy of a model, for a CPU")
    convert.add_argument("model", metavar="MODEL", help="a name of the table, a folder or a hub id")
    convert.add_argument("--to", required=True, choices=("openvino-int8", "openvino-int4"), help="what it becomes")
    convert.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, which is then a model's name")
    convert.set_defaults(verbose=False)
    deploy = commands.add_parser("deploy", help="upload the app to a Hugging Face Space")
    deploy.add_argument("--repo", required=True, metavar="USER/NAME", help="the Space; made where there is none")
    deploy.add_argument(
        "--dry-run", action="store_true", help="list what would be uploaded, and ask nobody anything"
    )
    deploy.add_argument("--public", action="store_true", help="a new Space can be seen by everybody")
    deploy.set_defaults(verbose=False)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return _run(parser().parse_args(argv))


def _run(args: argparse.Namespace) -> int:
    from tinyrs.engine import EngineFailure, EngineUnavailable
    from tinyrs.geo import NoPlace
    from tinyrs.image import BadImage
    from tinyrs.models import UnknownModel
    from tinyrs.tiles import BadTiles

    try:
        commands = {"ask": _ask, "models": _models, "serve": _serve, "convert": _convert, "deploy": _deploy}
        return commands[args.command](args)
    except (BadImage, NoPlace) as error:
        return _say(2, f"{args.picture}: {error}")
    except (_Refused, BadTiles, UnknownModel, EngineUnavailable) as error:
        return _say(2, error)
    except EngineFailure as error:
        return _say(1, error)
    except KeyboardInterrupt:
        return 130


def _ask(args: argparse.Namespace) -> int:
    from tinyrs.engine import Options, open_engine
    from tinyrs.example import Question
    from tinyrs.geo import lonlat
    from tinyrs.image import View, open_picture
    from tinyrs.models import resolve
    from tinyrs.prompt import guess_task
    from tinyrs.sight import seen

    if not args.question.strip():
        raise _Refused("The question is empty.")
    _check_target("--save-boxes", args.save_boxes, FORMATS)
    _check_target("--save-geojson", args.save_geojson, (".geojson", ".json"))
    _check_target("--save-coco", args.save_coco, (".json",))
    _check_target("--save-csv", args.save_csv, (".csv",))
    spec = resolve(args.model)
    picture = open_picture(args.picture, View.of(args.bands, args.stretch, args.window))
    if args.save_geojson is not None:
        lonlat(picture, [(0, 0)])  # refused before a model works for nothing
    task, labels = guess_task(args.question)
    question = Question(args.question, args.task or task, labels)
    parts = _parts(args, picture, question, spec)
    engine = open_engine(spec)
    if not args.json:
        for note in picture.notes:
            _say(0, note)
    logging.getLogger("tinyrs").info("%s", seen(picture.width, picture.height, engine.spec).sentence)
    options = Options(args.max_new_tokens, args.temperature, args.seed)
    if parts:
        reply, answer = _ask_tiles(args, engine, picture, question, parts, options)
    else:
        reply, answer = _ask_once(args, engine, picture, question, options)
    if args.json:
        print(json.dumps(_as_json(engine.spec, reply, answer), ensure_ascii=False))
    elif reply.truncated and not parts:
        _say(0, f"The answer was cut off at {reply.tokens} tokens.")
    _save_all(args, picture, question, engine.spec.name, answer.boxes)
    return 0


def _ask_once(args: argparse.Namespace, engine, picture, question, options):
    """(reply, answer) about the whole picture; the text is printed as it comes."""
    from tinyrs.parse import parse

    reply, shown = None, 0
    with closing(engine.stream(picture.image, question, options)) as replies:
        try:
            for reply in replies:
                if not args.json:
                    print(reply.text[shown:], end="", flush=True)
                    shown = max(shown, len(reply.text))
        finally:
            if shown:
                print()
    spec = engine.spec
    answer = parse(
        reply.text,
        dialect=spec.dialect,
        thinking=spec.thinking,
        truncated=reply.truncated,
        box_scale=spec.box_scale,
    )
    return reply, answer


def _parts(args: argparse.Namespace, picture, question, spec) -> list:
    """The tiles that are asked, [] for the whole picture at once."""
    from tinyrs.tiles import check_question, tile_side, tiles

    if not args.tiles:
        if args.tile_side:
            raise _Refused("--tile-side goes with --tiles.")
        return []
    check_question(question)
    return tiles(picture.width, picture.height, args.tile_side or tile_side(spec))


def _ask_tiles(args: argparse.Namespace, engine, picture, question, parts, options):
    """(reply, answer) of all tiles together; how far it is goes to stderr."""
    from tinyrs.engine import Reply
    from tinyrs.tiles import WARNING, ground

    _say(0, WARNING)
    for step in ground(engine, picture.image, question, parts, options):
        if not args.json and (step.done % 10 == 0 or step.done == step.of):
            _say(0, f"{step.done} of {step.of} tiles, {len(step.answer.boxes)} boxes")
    if not args.json:
        print(step.answer.text or "No tile has a box.")
        if step.truncated:
            _say(0, f"The answers to {step.truncated} tiles were cut off.")
    reply = Reply(
        step.answer.text, step.tokens, seconds=step.seconds, finished=True, truncated=step.truncated > 0
    )
    return reply, step.answer


def _as_json(spec, reply, answer) -> dict:
    """What `--json` prints: boxes as whole numbers, 0..1000 of the upright picture's width and height."""
    from tinyrs.example import BOX_SCALE

    return {
        "model": spec.name,
        "reasoning": list(answer.reasoning),
        "answer": answer.text,
        "boxes": [box.corners() for box in answer.boxes],
        "box_scale": BOX_SCALE,
        "well_formed": answer.well_formed,
        "seconds": round(reply.seconds, 3),
        "tokens": reply.tokens,
    }


def _models(args: argparse.Namespace) -> int:
    from tinyrs.models import SHIPPED, table

    rows = table()
    if args.json:
        keys = ("name", "source", "revision", "kind", "dialect", "thinking", "box_scale", "about")
        print(
            json.dumps(
                [
                    {
                        **{key: getattr(spec, key) for key in keys},
                        "measured": dict(spec.measured),
                        "here": here,
                    }
                    for spec, here in rows
                ],
                ensure_ascii=False,
                indent=1,
            )
        )
        return 0
    width = max(len(spec.name) for spec, _ in rows)
    for spec, here in rows:
        where = (
            "here"
            if here
            else "absent"
            if spec.name in SHIPPED
            else "hub"
            if spec.kind == "local"
            else "server"
        )
        print(f"{spec.name:{width}}  {where:6}  {spec.about}")
    return 0


def _check_target(option: str, path: Path | None, endings: Sequence[str]) -> None:
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise _Refused(f"{option} writes {', '.join(endings)}, not {path.name!r}.")
    if not path.parent.is_dir():
        raise _Refused(f"There is no folder {path.parent} to save into.")


def _save_all(args: argparse.Namespace, picture, question, model: str, boxes) -> None:
    """Write every file that was asked for."""
    from tinyrs import geo
    from tinyrs.render import draw, plain

    name = plain(Path(args.picture).name)
    about = {"picture": name, "question": plain(question.text), "model": plain(model)}
    path = None
    try:
        if path := args.save_boxes:
            draw(picture.image, {"A": boxes}).save(path)
        if path := args.save_geojson:
            second = geo.save_geojson(path, picture, boxes, about)
            if not args.json:
                _say(0, f"Saved {path} (WGS84) and {second} ({picture.geo.crs[:40]}).")
        if path := args.save_coco:
            geo.save_coco(path, picture, boxes, name)
        if path := args.save_csv:
            geo.save_csv(path, picture, boxes)
    except OSError:
        raise _Refused(f"{path} cannot be written.") from None


def _serve(args: argparse.Namespace) -> int:
    from tinyrs.serve import CannotServe, serve

    if args.name is not None and not args.name.strip():
        raise _Refused("The name is empty.")
    try:
        serve(args.model, args.host, args.port, args.name)
    except CannotServe as error:
        raise _Refused(str(error)) from None
    return 0


def _convert(args: argparse.Namespace) -> int:
    from tinyrs.convert import CannotConvert, convert

    try:
        print(convert(args.model, args.out, args.to))
    except CannotConvert as error:
        raise _Refused(str(error)) from None
    return 0


def _deploy(args: argparse.Namespace) -> int:
    from tinyrs.deploy import CannotDeploy, Failed, deploy

    try:
        deploy(args.repo, dry_run=args.dry_run, public=args.public)
    except CannotDeploy as error:
        raise _Refused(str(error)) from None
    except Failed as error:
        return _say(1, error)
    return 0


def _say(code: int, sentence: object) -> int:
    print(sentence, file=sys.stderr)
    return code


def _task(text: str) -> Task:
    try:
        return Task(text)
    except ValueError:
        names = ", ".join(task.value for task in Task)
        raise argparse.ArgumentTypeError(f"there is no task {text!r}; there are {names}") from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 0 to 65535")
    return int(text)


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return value


def _quiet(verbose: bool) -> None:
    """Keep the log and the warnings of libraries off the terminal, or show them all."""
    if verbose:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO)
        return
    logging.getLogger().addHandler(logging.NullHandler())
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _command() -> None:
    """The process around `main`."""
    try:
        args = parser().parse_args()
        _quiet(args.verbose)
        code = _run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    if code == 130:
        # A model may be in the middle of a long computation that nothing can interrupt: do not wait for it.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _command()
