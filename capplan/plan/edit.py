"""Editing a plan in place: one entry more, and not a character of the rest changed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import yaml

from capplan.plan.schema import PastSale

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ ./+-]*[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Edited:
    """The new text of a plan, and the line (from 1) and the text of what was written."""

    text: str
    line: int
    written: str


def add_past_sale(text: str, sale: PastSale) -> Edited:
    r"""Add a sale to ``history`` at its end, or ``history`` to the end of the plan.

    The text is that of a plan that loads; everything in it stays, comments and line ends included.
    Whether the new text says what it should is for the caller to check by loading it.

    >>> spring = PastSale(name="Spring", forecast=900.0, actual=1450.0)
    >>> print(add_past_sale("sale: x\n", spring).text)
    sale: x
    <BLANKLINE>
    history:
      - {name: Spring, forecast: 900 rps, actual: 1450 rps}
    <BLANKLINE>
    """
    entry = written_as(sale)
    newline = "\r\n" if "\r\n" in text else "\n"
    node = _history(text)
    if node is None:
        gap = newline if text.endswith(("\n", "\r")) else 2 * newline
        return _insert(text, len(text), f"{gap}history:{newline}  - {entry}{newline}", entry)
    if node.flow_style:
        if node.value:
            return _insert(text, node.value[-1].end_mark.index, f", {entry}", entry)
        return _insert(text, node.start_mark.index + 1, entry, entry)
    indent = " " * node.start_mark.column
    end = text.find("\n", _end(node))
    if end < 0:
        return _insert(text, len(text), f"{newline}{indent}- {entry}{newline}", entry)
    return _insert(text, end + 1, f"{indent}- {entry}{newline}", entry)


def written_as(sale: PastSale) -> str:
    r"""Return the entry as it is written in a plan.

    >>> written_as(PastSale(name='Sale: "20%"', forecast=900.0, actual=1450.25))
    '{name: "Sale: \\"20%\\"", forecast: 900 rps, actual: 1450.25 rps}'
    """
    plain = _PLAIN.fullmatch(sale.name)
    name = sale.name if plain else json.dumps(sale.name, ensure_ascii=False)
    return f"{{name: {name}, forecast: {sale.forecast:.6g} rps, actual: {sale.actual:.6g} rps}}"


def _insert(text: str, at: int, added: str, entry: str) -> Edited:
    line = text.count("\n", 0, at) + added[: added.index(entry)].count("\n") + 1
    return Edited(text[:at] + added + text[at:], line, entry)


def _history(text: str) -> yaml.SequenceNode | None:
    # the loader in Python: its marks count characters
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = [value for key, value in pairs if key.value == "history"]
    return found[0] if found and isinstance(found[0], yaml.SequenceNode) else None


def _end(node: yaml.Node) -> int:
    """Return where the last character of a node stands; a block's own mark lies further on."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", True) or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)
