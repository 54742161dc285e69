"""Reads what the user hands through to the script: its own options, tags, names of user classes.

Locust's parser reads them, so that everything works which the script adds to it. Locust's other
options decide on load, time and reports, which capplan does itself: they are refused, not ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from locust.argument_parser import get_empty_argument_parser, get_parser, setup_parser_arguments

_HANDED_THROUGH = {"tags", "exclude_tags"}


class OptionRefused(Exception):
    """An option that cannot be handed through."""


def parse(arguments: Sequence[str], target: str) -> Any:
    """Return Locust's parsed options; raise ``OptionRefused`` for those that cannot be used."""
    own = _own_options()
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in own:
            raise OptionRefused(
                f"{name} is an option of Locust itself: only --tags, --exclude-tags, names of user "
                "classes and the script's own options are handed through"
            )
    parser: Any = get_parser()  # also lets the script add its options
    parser.error = _refuse
    return parser.parse_args(["--headless", "--host", target, *arguments])


def _own_options() -> set[str]:
    parser: Any = get_empty_argument_parser()
    setup_parser_arguments(parser)
    return {
        name
        for action in parser._actions
        if action.dest not in _HANDED_THROUGH
        for name in action.option_strings
    }


def _refuse(message: str) -> NoReturn:
    raise OptionRefused(f"the script's options cannot be read: {message}")
