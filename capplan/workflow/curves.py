"""The user's own arrival curves: files that a plan names under ``arrive``."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

from capplan.errors import UsageError
from capplan.plan.load import PlanFile
from capplan.results.store import read_result
from capplan.results.traffic import Traffic
from capplan.workflow.changes import file_hash
from capplan.workflow.shelf import shown

if TYPE_CHECKING:
    from capplan.model.tabulated import Table

_LARGEST_BYTES = 16 * 2**20
_MOST_S = 366 * 86400.0
_HOW = (
    "a curve has two columns: seconds from the start of the sale, and the rate at which people "
    "come from then to the next row, in any unit"
)


def curve_hashes(plan_file: PlanFile) -> dict[str, str]:
    """Return a short hash of the content of each curve that the plan names.

    Raises ``UsageError`` for a file that is not there.
    """
    return {f"the curve {name}": file_hash(_path(plan_file, name)) for name in _named(plan_file)}


def read_curves(plan_file: PlanFile) -> dict[str, Table]:
    """Read the curves that the plan names, relative to it: CSV, or a ``traffic.json``.

    Raises ``UsageError`` that names the file, and the line of a CSV.
    """
    return {name: _read(_path(plan_file, name)) for name in _named(plan_file)}


def _named(plan_file: PlanFile) -> list[str]:
    files = (channel.arrive.file for channel in plan_file.plan.audience)
    return sorted({file for file in files if file is not None})


def _path(plan_file: PlanFile, name: str) -> Path:
    path = plan_file.resolve(name)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"the curve {shown(path)} {what}", f"it is named under arrive; {_HOW}")
    return path


def _read(path: Path) -> Table:
    from capplan.model.tabulated import table  # loads numpy

    if path.suffix.lower() == ".json":
        observed = read_result(path, Traffic).profile
        times, weights = list(observed.t_s), list(observed.rps)
    else:
        times, weights = _columns(path)
    try:
        return table(times, weights)
    except ValueError as error:
        raise UsageError(f"{shown(path)}: {error}", _HOW) from None


def _columns(path: Path) -> tuple[list[float], list[float]]:
    times: list[float] = []
    weights: list[float] = []
    for line, row in _rows(path):
        try:
            moment, weight = (_number(cell) for cell in row[:2])
        except ValueError:
            if not times and line == 1:
                continue  # the names of the columns
            raise UsageError(
                f"{shown(path)}:{line}: {', '.join(row)[:60]!r} is not two numbers", _HOW
            ) from None
        if times and moment <= times[-1]:
            raise UsageError(
                f"{shown(path)}:{line}: the time {moment:g} does not come after {times[-1]:g}",
                "sort the rows by time, and give each time once",
            )
        times.append(moment)
        weights.append(weight)
    return times, weights


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{shown(path)} is not UTF-8 text", "save it as CSV") from None
    if len(data) > _LARGEST_BYTES:
        raise UsageError(f"{shown(path)} is larger than {_LARGEST_BYTES // 2**20} MB", _HOW)
    semicolons = ";" in text.partition("\n")[0]
    try:
        rows = csv.reader(text.splitlines(), delimiter=";" if semicolons else ",", strict=True)
        found = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise UsageError(f"{shown(path)} cannot be read as CSV: {error}", _HOW) from None
    return [
        (line, row)
        for line, row in found
        if "".join(row).strip() and not row[0].lstrip().startswith("#")
    ]


def _number(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value) or abs(value) > _MOST_S * 1e6:
        raise ValueError(cell)
    return value
