"""The target's own side of a load test, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from capplan.loadtest.bottleneck import cpu_text
from capplan.results.capacity import Capacity, ScalePoint
from capplan.results.resources import Resources
from capplan.units import format_number, format_rate, format_share


def bottleneck(result: Capacity | ScalePoint) -> str | None:
    """Say what stops the target, with its evidence."""
    found = result.bottleneck
    if found is None:
        return None
    return f"Bottleneck: {found.message}. {found.advice[:1].upper()}{found.advice[1:]}."


def target_side(target: Resources) -> str | None:
    """Say what the target used at the sustained rate."""
    cpu = target.cpu_at_sustained
    parts = [*([cpu_text(cpu.mid, target.cores)] if cpu else []), *_used(target)]
    rate_rps = cpu.rate_rps if cpu else None
    at = f"at {format_rate(rate_rps)}" if rate_rps else "there"
    return f"The target {at}: {', '.join(parts)}." if parts else None


def _used(target: Resources) -> Iterator[str]:
    use = target.at_sustained
    if use is None:
        return
    if use.memory_bytes is not None:
        share = "" if use.memory is None else f" ({format_share(use.memory)})"
        yield f"memory {size(use.memory_bytes)}{share}"
    if use.open_files is not None:
        share = "" if use.open_files_share is None else f" ({format_share(use.open_files_share)})"
        yield f"{format_number(round(use.open_files))} open files{share}"
    if use.sent_bytes_per_s is not None and target.processes:
        yield f"{size(use.sent_bytes_per_s)}/s sent"
    for name, value in use.metrics.items():
        yield f"{name} {'unknown' if value is None else format_number(value)}"


def size(count: float) -> str:
    """Write an amount of bytes.

    >>> size(999.0), size(83_400_000.0), size(25.3e9)
    ('999 B', '83 MB', '25 GB')
    """
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            value = count / 10**power
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count:.0f} B"
