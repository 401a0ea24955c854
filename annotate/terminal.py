"""What the commands share: how one is declared, numbers that make sense, and text that is safe to print."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Command = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""Of a name, what to run and one line about it: the parser of a new command, for its own options."""


class Parser(argparse.ArgumentParser):
    """One sentence instead of the usage: what was wrong must not scroll away."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}; see --help.\n")


def plain(text: str) -> str:
    """One line without control characters: what somebody else wrote must not command a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _number(text: str, kind, least: float, above: bool, what: str):
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not (least < value if above else least <= value) or value == float("inf"):
        raise argparse.ArgumentTypeError(f"it must be {what}")
    return value


def whole(text: str) -> int:
    return _number(text, int, 1, False, "a whole number from 1")


def count(text: str) -> int:
    return _number(text, int, 0, False, "a whole number from 0")


def amount(text: str) -> float:
    return _number(text, float, 0, True, "a number above 0")


def cost(text: str) -> float:
    return _number(text, float, 0, False, "a number from 0")
