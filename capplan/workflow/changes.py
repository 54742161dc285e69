"""Whether a stored result still belongs to its plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Name the sections of a plan whose content is not what it was.

    >>> changed({"sale": "a1", "visit": "b2"}, {"sale": "a1", "visit": "c3"})
    ('visit',)
    """
    return tuple(name for name, content in now.items() if then.get(name) != content)


def file_hash(path: Path) -> str:
    """Return a short hash of a file's content, as ``Identity.locustfile_hash`` holds it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def listed(words: Sequence[str]) -> str:
    """Join words the way a sentence does.

    >>> listed(["sale"]), listed(["sale", "visit", "overlap"])
    ('sale', 'sale, visit and overlap')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
