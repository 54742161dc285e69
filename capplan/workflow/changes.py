"""Whether a stored result still belongs to its plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from capplan.plan.load import NOTHING


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Name the sections of a plan whose content is not what it was.

    A section that ``then`` lacks was not known to the version of capplan that made it: it counts
    as changed when the plan now says something there.

    >>> changed({"sale": "a1", "visit": "b2"}, {"sale": "a1", "visit": "c3"})
    ('visit',)
    """
    return tuple(
        name
        for name, content in now.items()
        if (content != then[name] if name in then else content not in NOTHING)
    )


def file_hash(*paths: Path) -> str:
    """Return a short hash of the content of files, as ``Identity.locustfile_hash`` holds it."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if len(digests) == 1:
        return digests[0][:12]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:12]


def listed(words: Sequence[str]) -> str:
    """Join words the way a sentence does.

    >>> listed(["sale"]), listed(["sale", "visit", "overlap"])
    ('sale', 'sale, visit and overlap')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
