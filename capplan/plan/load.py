"""Load a plan: one YAML file in, a validated plan and its place on disk out.

Whatever the file contains, the answer is a plan or a ``UsageError`` that lists every mistake with
file, line and key.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from capplan.errors import UsageError
from capplan.plan.complaints import SHOWN, Complaint, KeyPath, dotted, report
from capplan.plan.explain import explain, nearest_key
from capplan.plan.schema import Plan
from capplan.plan.yaml_source import Node, decode, parse

_LARGEST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan and where it stands; ``path`` is absolute."""

    plan: Plan
    path: Path

    @property
    def name(self) -> str:
        """The name of the plan: its file's, without the suffix."""
        return self.path.stem

    @property
    def results_dir(self) -> Path:
        """The folder beside the plan that holds its results."""
        return self.path.with_name(f"{self.name}.capplan")

    def resolve(self, relative: str) -> Path:
        """Return the path that the plan means by ``relative``: relative to the plan's folder."""
        return self.path.parent / relative

    def sections(self, *names: str) -> dict[str, str]:
        """Return a short hash of each named section (``"audience"``, ``"policy.window"``).

        The hash is made from the validated values in base units, so it changes when the meaning
        changes, and not with comments, order of keys or spelling.
        """
        content = self.plan.model_dump(mode="json")
        return {name: _hash(reduce(_inside, name.split("."), content)) for name in names}


def load_plan(path: Path) -> PlanFile:
    """Read and validate the plan at ``path``; ``-`` stands for standard input.

    Raises ``UsageError`` that names file, line and key of every mistake.
    """
    if str(path) == "-":
        data = sys.stdin.buffer.read(_LARGEST_BYTES + 1)
        return PlanFile(parse_plan(data, "standard input"), Path("stdin.yaml").absolute())
    return PlanFile(parse_plan(read_bytes(path), str(path)), path.absolute())


def read_bytes(path: Path) -> bytes:
    """Return the content of a plan's file. Raises ``UsageError`` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", "write a plan with: capplan init") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a plan", f"try {path / 'sale.yaml'}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}") from None


def parse_plan(data: bytes, origin: str) -> Plan:
    """Return the plan in the content of a file; ``origin`` names it in complaints.

    Raises ``UsageError`` that lists every mistake.
    """
    if len(data) > _LARGEST_BYTES:
        raise UsageError(
            f"{origin} is larger than {_LARGEST_BYTES // 1024} kB: this is not a plan",
            "a plan is a few kB of YAML; see: capplan init",
        )
    document = parse(decode(data, origin), origin)
    root, complaints = document.root, list(document.complaints)
    if isinstance(root.content, str | list):
        kind = "a list" if isinstance(root.content, list) else "plain text"
        message = f"{kind} stands where the sections of a plan belong: sale, audience, visit, …"
        complaints.append(Complaint(root.line, root.column, "", message))
    elif isinstance(root.content, dict):
        try:
            plan = Plan.model_validate(root.plain())
        except ValidationError as error:
            complaints += _complaints(error, root)
    if complaints:
        raise report(origin, complaints)
    return plan


def _complaints(error: ValidationError, root: Node) -> list[Complaint]:
    placed = [(*root.follow(e["loc"]), e) for e in error.errors(include_url=False)]
    placed.sort(key=lambda place: (place[0].line, place[0].column))
    unknown = [e["loc"] for _, _, e in placed if e["type"] == "extra_forbidden"][:SHOWN]
    misspelt = {(*path[:-1], nearest_key(path, Plan)) for path in unknown}
    told = [
        (node, depth, e)
        for node, depth, e in placed
        # where nothing usable stands, or under a misspelt key, there is a complaint already
        if node.content is not None and not (e["type"] == "missing" and e["loc"] in misspelt)
    ]
    return [
        # explained only where it is shown: noise has thousands of unknown keys
        _complaint(node, e["loc"][:depth], e, explain(e, Plan) if i < SHOWN else "")
        for i, (node, depth, e) in enumerate(told)
    ]


def _complaint(node: Node, where: KeyPath, error: ErrorDetails, message: str) -> Complaint:
    unknown = error["type"] == "extra_forbidden"
    if unknown:
        where = where[:-1]
    return Complaint(node.line if where or unknown else 0, node.column, dotted(where), message)


def _inside(content: Any, key: str) -> Any:
    return None if content is None else content[key]


def _hash(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


NOTHING = frozenset({_hash(None), _hash([]), _hash({})})
"""The hashes of sections that say nothing."""
