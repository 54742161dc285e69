"""``capplan init``: write a plan, a locustfile and a CI workflow to begin with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

from capplan.errors import SetupError, UsageError
from capplan.plan import json_schema
from capplan.results.store import write_text

_FILES = {
    "sale.yaml": "sale.yaml",
    "locustfile.py": "locustfile.py",
    "workflow.yml": ".github/workflows/capplan.yml",
}
_SCHEMA = "sale.capplan/plan.schema.json"
_LEAD = timedelta(days=14)
_FRIDAY = 4


def init(folder: Path, today: date | None = None) -> list[Path]:
    """Write the starter files into ``folder`` and return their paths, the plan first.

    The sale of the plan starts on a Friday, at least two weeks after ``today`` (UTC). Raises
    ``UsageError`` when one of the files is already there, and writes none of them then.
    """
    texts = {folder / target: starter(source) for source, target in _FILES.items()}
    if taken := [str(path) for path in texts if path.exists() or path.is_symlink()]:
        raise UsageError(
            f"{' and '.join(taken)} already {'exists' if len(taken) == 1 else 'exist'},"
            " and nothing was written",
            "name another folder: capplan init DIR",
        )
    start = next_friday_noon((today or datetime.now(UTC).date()) + _LEAD)
    plan = folder / "sale.yaml"
    texts[plan] = texts[plan].replace("START_OF_THE_SALE", start.isoformat())
    schema = folder / _SCHEMA
    written: list[Path] = []
    try:
        for path, text in texts.items():
            _write_new(path, text, written)
        # the schema is not the user's work: a newer one replaces it
        write_text(schema, json_schema.shipped())
    except BaseException:
        for path in written:
            path.unlink()
        raise
    return [*texts, schema]


def next_friday_noon(day: date) -> datetime:
    """Return 12:00 UTC of the first Friday that is not before ``day``.

    >>> next_friday_noon(date(2026, 11, 20)).isoformat()
    '2026-11-20T12:00:00+00:00'
    >>> next_friday_noon(date(2026, 11, 21)).isoformat()
    '2026-11-27T12:00:00+00:00'
    """
    friday = day + timedelta(days=(_FRIDAY - day.weekday()) % 7)
    return datetime(friday.year, friday.month, friday.day, 12, tzinfo=UTC)


def starter(name: str) -> str:
    """Return the text of a file that a project begins with."""
    return resources.files("capplan.starter").joinpath(name).read_text("utf-8")


def _write_new(path: Path, text: str, written: list[Path]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            written.append(path)
            file.write(text)
    except OSError as error:
        raise SetupError(
            f"{path} cannot be written: {error.strerror or error}",
            "allow writing there, or name another folder: capplan init DIR",
        ) from None
