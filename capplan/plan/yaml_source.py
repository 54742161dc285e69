"""Read YAML as text and positions: every scalar stays a string, every value knows its line.

Only the plain part of YAML is read: mappings, lists and text. Tags, anchors, aliases and merge keys
are complaints, so a document can neither build objects nor grow beyond its own size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from capplan.plan.complaints import Complaint, KeyPath, brief, dotted, report

_DEEPEST = 20  # a plan nests five deep
_UNPRINTABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_TOO_DEEP = "nested too deep for a plan"
_NOT_READ = "the {} {} is not read in a plan: write plain text, in quotes if need be"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# what the parser says → what it mostly means in a plan
_ADVICE = (
    ("mapping values are not allowed", "a second ': ' in one line, or indented too far; text that"
     " contains ': ' needs quotes"),
    ("could not find expected ':'", "a line without 'key: value'"),
    ("alphabetic or numeric character", "a character that needs quotes round its text"),
    ("cannot start any token", "a character that needs quotes round its text"),
    ("unexpected end of stream", "a quote that opens here is not closed"),
    ("did not find expected <document start>", "text after the end of the plan"),
    ("did not find expected key", "the indentation does not fit the lines above"),
    ("did not find expected '-' indicator", "the indentation does not fit the lines above"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("did not find expected ',' or", "a comma or a closing bracket is missing"),
    ("expected ',' or", "a comma or a closing bracket is missing"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where its key, or without one the value itself, begins (line from 1).

    ``content`` is None where nothing usable stands; then there is a complaint about it.
    """

    line: int
    column: int
    content: str | dict[str, Node] | list[Node] | None

    def plain(self) -> Any:
        """Return dicts, lists and strings; a key without a usable value is left out."""
        if isinstance(self.content, dict):
            nodes = self.content.items()
            return {key: node.plain() for key, node in nodes if node.content is not None}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def follow(self, path: KeyPath) -> tuple[Node, int]:
        """Return the node at ``path``, or the deepest one on the way there, and its depth."""
        node = self
        for depth, part in enumerate(path):
            inner: Any = node.content
            if isinstance(inner, str) or inner is None:
                return node, depth
            try:
                node = inner[part]
            except (LookupError, TypeError):  # no such entry, or a key where a list stands
                return node, depth
        return node, len(path)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document, and what is wrong with it before anyone asks what it means."""

    root: Node
    complaints: tuple[Complaint, ...]


def decode(data: bytes, origin: str) -> str:
    """Return the text of a YAML file. Raises ``UsageError`` where it is not UTF-8 text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8 text: save the file as UTF-8"
        raise report(origin, [Complaint(line, 0, "", message)]) from None
    if strange := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, strange.start()) + 1
        message = f"a control character stands here (U+{ord(strange[0]):04X}): remove it"
        raise report(origin, [Complaint(line, 0, "", message)])
    return text


def parse(text: str, origin: str) -> Document:
    """Return the document in ``text``.

    Raises ``UsageError`` where the text is not YAML, is empty, or is more than one document.
    """
    try:
        return _Reader(text, origin).document()
    except yaml.YAMLError as error:
        raise report(origin, [_syntax(error, text)]) from None


class _Reader:
    """Builds nodes from the parser's events."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self.complaints: list[Complaint] = []

    def document(self) -> Document:
        next(self.events)  # the start of the stream
        if not isinstance(next(self.events), yaml.DocumentStartEvent):
            raise self._empty()
        first = next(self.events)
        root = self._node(first, (), first.start_mark)
        next(self.events)  # the end of the document
        after = next(self.events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._complain(
                after.start_mark, (), "a second document begins here: a plan is one document"
            )
            raise report(self.origin, self.complaints)
        if root.content is None and not self.complaints:
            raise self._empty()
        return Document(root, tuple(self.complaints))

    def _node(self, event: Any, path: KeyPath, at: Any) -> Node:
        if len(path) > _DEEPEST:
            self._complain(at, (), _TOO_DEEP)
            raise report(self.origin, self.complaints)
        if isinstance(event, yaml.AliasEvent):
            self._complain(at, path, _NOT_READ.format("alias", brief(f"*{event.anchor}")))
            return _node(at, None)
        self._plain_only(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return _node(at, self._mapping(path))
        if isinstance(event, yaml.SequenceStartEvent):
            return _node(at, self._sequence(path))
        return _node(at, self._scalar(event, path, at))

    def _plain_only(self, event: Any, path: KeyPath) -> None:
        if event.anchor is not None:
            message = _NOT_READ.format("anchor", brief(f"&{event.anchor}"))
            self._complain(event.start_mark, path, message)
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self._complain(event.start_mark, path, _NOT_READ.format("tag", brief(tag)))

    def _mapping(self, path: KeyPath) -> dict[str, Node]:
        content: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            at = event.start_mark
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            if not key or not key.isprintable():
                self._complain(at, path, "a key must be a word")
                self._node(event, (*path, key), at)
            else:
                self._plain_only(event, path)
            if key and key in content:
                first = content[key].line
                self._complain(at, path, f"the key {brief(key)} is already in line {first}")
            if key == "<<":
                self._complain(at, path, "a merge key (<<) is not read: write the keys out")
            value = self._node(next(self.events), (*path, key), at)
            content.setdefault(key, value)
        content.pop("", None)
        content.pop("<<", None)
        return content

    def _sequence(self, path: KeyPath) -> list[Node]:
        content: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            content.append(self._node(event, (*path, len(content)), event.start_mark))
        return content

    def _scalar(self, event: Any, path: KeyPath, at: Any) -> str | None:
        text = str(event.value)
        if not text and not event.style:
            if path and path[-1] != "":
                self._complain(at, path, "has no value: write one, or remove the key")
            return None
        if strange := _UNPRINTABLE.search(text):
            self._complain(at, path, f"contains a control character (U+{ord(strange[0]):04X})")
            return None
        return text

    def _complain(self, at: Any, path: KeyPath, message: str) -> None:
        self.complaints.append(Complaint(at.line + 1, at.column, dotted(path), message))

    def _empty(self) -> Exception:
        return report(self.origin, [Complaint(0, 0, "", "is empty: 'capplan init' writes a plan")])


def _node(at: Any, content: str | dict[str, Node] | list[Node] | None) -> Node:
    return Node(at.line + 1, at.column, content)


def _syntax(error: yaml.YAMLError, text: str) -> Complaint:
    if not isinstance(error, yaml.MarkedYAMLError):
        return Complaint(0, 0, "", f"cannot be read as YAML: {' '.join(str(error).split())[:100]}")
    problem = error.problem or error.context or "unreadable"
    mark = error.problem_mark or error.context_mark
    if "unexpected end of stream" in problem:
        mark = error.context_mark or mark
    line = mark.line if mark else 0
    if "nesting depth" in problem:  # libyaml 0.2.6 and later refuse it before we count
        return Complaint(line + 1, 0, "", _TOO_DEEP)
    lines = text.splitlines()
    indentation = re.match(r"\s*", lines[line] if line < len(lines) else "")
    if indentation and "\t" in indentation[0]:
        advice = "a tab in the indentation: indent with spaces"
    else:
        advice = next((advice for said, advice in _ADVICE if said in problem), problem)
    return Complaint(line + 1, mark.column if mark else 0, "", f"cannot be read as YAML: {advice}")
