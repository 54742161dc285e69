"""One setting of a protection: what the plan gives, else what follows from the measured server."""

from __future__ import annotations

from capplan.results.simulation import Setting


def setting(
    protection: str, name: str, given: float | None, computed: float, unit: str, why: str
) -> Setting:
    """Return the setting; ``why`` is the formula with its numbers."""
    value = computed if given is None else given
    return Setting(protection=protection, name=name, value=float(value), unit=unit, why=why)
