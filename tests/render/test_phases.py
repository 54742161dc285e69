"""What the phases found, as sentences and tables."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from capplan.render.phases import details, findings
from capplan.results.latency import LatencySummary
from capplan.results.phases import (
    Drift,
    Opening,
    OpeningWindow,
    Overload,
    OverloadPart,
    OverloadSeries,
    Phases,
    Soak,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def latency(p95: float | None) -> LatencySummary:
    return LatencySummary(
        p50=0.02, p75=0.03, p90=0.04, p95=p95, p99=p95, p999=p95, mean=0.02, max=p95
    )


def window(start_s: float, end_s: float | None, p95: float, failed: int = 0) -> OpeningWindow:
    return OpeningWindow(
        start_s=start_s,
        end_s=end_s,
        requests=500,
        failures=failed,
        timeouts=0,
        latency_s=latency(p95),
        connects=500 if end_s else 0,
        connects_failed=failed,
        connect_s_p50=0.001 if end_s else None,
        connect_s_p95=0.002 if end_s else None,
    )


def opening(outcome: Any, failed: int = 0) -> Phases:
    return Phases(
        opening=Opening(
            rate_rps=180,
            made_at=NOW,
            repetitions=5,
            judged_s=1,
            windows=(window(0, 1, 0.25, failed), window(1, 2, 0.2)),
            steady=window(5, None, 0.1),
            checks=(),
            outcome=outcome,
        )
    )


def overload(outcome: Any, after_s: float | None = None) -> Phases:
    good = [150] * 10 + [40] * 20 + [150 if after_s is not None else 0] * 60
    none = (0,) * 90
    series = OverloadSeries(
        t_s=tuple(float(t) for t in range(-10, 80)),
        offered=(150,) * 10 + (270,) * 20 + (150,) * 60,
        goodput=tuple(good),
        lost=none,
        attempts=none,
        shed=none,
        timed_out=none,
        failed=none,
    )
    parts = [
        OverloadPart(
            name=name,
            duration_s=seconds,
            offered_rps=offered,
            goodput_rps=goodput,
            lost_rps=offered - goodput,
            attempts_rps=2 * offered,
            shed_share=0.1,
            timed_out_share=0.2,
            failed_share=0.0,
        )
        for name, seconds, offered, goodput in (
            ("before", 10, 150, 150),
            ("during", 20, 270, 40),
            ("after", 60, 150, good[-1]),
        )
    ]
    return Phases(
        overload=Overload(
            rate_rps=180,
            made_at=NOW,
            factor=1.5,
            duration_s=20,
            back_factor=0.8,
            attempts=2,
            client_timeout_s=2,
            backoff_s=0.2,
            good_s=0.3,
            recovered_window_s=30,
            metastable_after_s=60,
            parts=tuple(parts),
            series=series,
            outcome=outcome,
            recovered_after_s=after_s,
        )
    )


def soak(*drifts: Drift, held: bool = True) -> Phases:
    return Phases(
        soak=Soak(
            rate_rps=150,
            made_at=NOW,
            duration_s=600,
            requests=90_000,
            failures=0,
            timeouts=0,
            latency_s=latency(0.1),
            held=held,
            drifts=drifts,
        )
    )


def drift(quantity: Any, slope: float, low: float, high: float) -> Drift:
    return Drift(
        quantity=quantity,
        mean=1.0,
        slope_per_h=slope,
        low_per_h=low,
        high_per_h=high,
        confidence=0.95,
        batches=40,
    )


def shown(phases: Phases, width: int = 80, encoding: str = "utf-8") -> str:
    memory = io.BytesIO()
    raw = io.TextIOWrapper(memory, encoding=encoding, write_through=True)
    console = Console(file=raw, width=width, force_terminal=False)
    block = details(phases)
    if block is not None:
        console.print(block)
    return memory.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("phases", "sentence"),
    [
        (
            opening("held"),
            "Opening at 180 rps, everyone unconnected: the SLA holds from the first second on; "
            "p95 250 ms in the first second, 100 ms later on.",
        ),
        (
            opening("missed", failed=7),
            "Opening at 180 rps, everyone unconnected: the SLA is missed at the start; "
            "p95 250 ms in the first second, 100 ms later on; 7 of 1,000 connections failed.",
        ),
        (
            overload("recovered", 4.0),
            "Overload of 1.5x for 20 s: 15% of the requests stayed good, and the target recovered "
            "4 s after it.",
        ),
        (
            overload("recovered", 0.0),
            "Overload of 1.5x for 20 s: 15% of the requests stayed good, and the target was well "
            "again at once.",
        ),
        (
            overload("metastable"),
            "Overload of 1.5x for 20 s: metastable, only 0% of the requests are good 1 min after "
            "it, at 0.8x. Clients that ask 2 times keep it overloaded by themselves: it comes back "
            "below about 90 rps, or with a queue of at most 360 requests.",
        ),
        (overload("unknown"), "Overload of 1.5x for 20 s: no verdict, see the notes."),
        (
            soak(drift("latency_s", 0.012, 0.008, 0.016), drift("memory_bytes", -1e6, -4e6, 2e6)),
            "Soak of 10 min at 150 rps: latency grows by 12 ms/h (8 to 16) (memory -4 to +2 MB/h).",
        ),
        (
            soak(drift("latency_s", 0.001, -0.002, 0.004), held=False),
            "Soak of 10 min at 150 rps: no drift seen (latency -2 to +4 ms/h); the SLA was missed.",
        ),
        (
            soak(drift("memory_bytes", -3e6, -5e6, -1e6)),
            "Soak of 10 min at 150 rps: memory falls by 3 MB/h (1 to 5).",
        ),
    ],
)
def test_each_phase_is_said_in_a_sentence(phases, sentence):
    assert findings(phases) == [sentence]


def test_nothing_is_said_of_phases_that_were_not_held():
    assert findings(Phases()) == []
    assert details(Phases()) is None


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_pictures_fit_the_width_and_the_characters(width, encoding):
    both = overload("metastable").model_copy(update={"opening": opening("held").opening})
    lines = shown(both, width, encoding).splitlines()
    assert max(map(len, lines)) <= width
    assert any("overload for 20 s" in line for line in lines)
    assert any(line.startswith("steady") for line in lines)


def test_the_overload_is_marked_where_it_was():
    lines = shown(overload("metastable"), 80, "ascii").splitlines()
    axis = next(line for line in lines if "=" in line)
    label = next(line for line in lines if "overload for" in line)
    assert label.index("overload") == axis.index("=")
    # 20 of 89 seconds
    assert axis.count("=") == pytest.approx(72 * 20 / 89, abs=1.5)
