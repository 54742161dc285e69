"""Runs at several numbers of servers gather in one capacity, with a law and its doubt."""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from capplan.model.scalability import Fit, fit
from capplan.plan.sla import parse_sla
from capplan.results.base import PlanRef
from capplan.results.capacity import (
    Capacity,
    Identity,
    ScalePoint,
    ScalingLaw,
    Span,
    SustainedRate,
    Trial,
)
from capplan.results.scaling import accumulate, described, laws
from capplan.results.store import from_json, to_json

SLA = "p95<300ms, failures<1%"
SECTIONS = {"service.target": "a", "service.sla": "b", "service.timeout": "c"}


def run(servers: int, mid: float | None, width: float = 1.05, **changes: Any) -> Capacity:
    """What a load test with so many servers found; ``width`` is high/mid."""
    identity = {
        "target": f"http://127.0.0.1:{8000 + servers}",
        "locustfile": "shop.py",
        "locustfile_hash": "0",
        "sla": SLA,
        "unit": "task",
        "servers": servers,
    }
    identity |= changes.pop("identity", {})
    fields: dict[str, Any] = {
        "plan": PlanRef(name="sale", sections=changes.pop("sections", SECTIONS)),
        "made_at": datetime(2026, 11, 13, servers % 24, 30, tzinfo=UTC),
        "seed": 1,
        "environment": {},
        "verdict": "measured",
        "reason": "",
        "identity": Identity(**identity),
        "sla": parse_sla(SLA),
        "sustained_rps": SustainedRate(
            low=mid and mid / width, mid=mid, high=mid and mid * width, confidence=0.95
        ),
        "max_rate_rps": None,
        "trials": (),
        "load_time_s": 60.0,
        "requests_per_arrival": 1.0,
        "mix": {},
    }
    return Capacity(**fields | changes)


def gathered(*runs: Capacity) -> Capacity:
    known = None
    for one in runs:
        known = accumulate(known, one)
    assert known is not None
    return known


def law_of(capacity: Capacity) -> ScalingLaw:
    assert capacity.scaling is not None
    assert capacity.scaling.law is not None
    return capacity.scaling.law


def rates(alpha: float, beta: float, gamma: float, *servers: int) -> list[Capacity]:
    model = Fit(alpha, beta, gamma, None, None, False)
    return [run(n, model.throughput(n), 1.02) for n in servers]


def points(capacity: Capacity) -> tuple[ScalePoint, ...]:
    assert capacity.scaling is not None
    return capacity.scaling.points


def counts(capacity: Capacity) -> list[int]:
    return [point.servers for point in points(capacity)]


def ends(interval: Span) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def test_a_run_with_one_server_alone_stays_as_it_is():
    alone = run(1, 100.0)
    assert gathered(alone) == alone
    assert gathered(alone, run(1, 120.0)) == run(1, 120.0)


def test_runs_with_other_numbers_of_servers_gather_whatever_their_order_and_address():
    one, two, four = run(1, 100.0), run(2, 190.0), run(4, 350.0)
    known = gathered(four, one, two)
    assert known == gathered(one, two, four)
    assert counts(known) == [1, 2, 4]
    assert known.sustained_rps == one.sustained_rps
    assert known.identity == one.identity
    assert points(known)[2].sustained_rps == four.sustained_rps
    assert points(known)[2].made_at == four.made_at


def test_a_new_run_takes_the_place_of_the_one_with_as_many_servers():
    known = gathered(run(1, 100.0), run(2, 190.0), run(2, 170.0), run(1, 101.0))
    assert counts(known) == [1, 2]
    assert [p.sustained_rps.mid for p in points(known)] == [101.0, 170.0]
    assert known.sustained_rps.mid == 101.0


@pytest.mark.parametrize(
    "other",
    [
        {"identity": {"sla": "p99<1s"}},
        {"identity": {"locustfile_hash": "1"}},
        {"identity": {"unit": "visit"}},
        {"identity": {"arguments": ("--tags", "buy")}},
        {"sections": SECTIONS | {"service.timeout": "d"}},
    ],
)
def test_runs_that_were_asked_something_else_no_longer_count(other):
    known = gathered(run(1, 100.0), run(2, 190.0), run(4, 350.0, **other))
    assert counts(known) == [4]
    assert "earlier_runs_dropped" in [note.code for note in known.notes]
    assert "1, 2" in next(n.message for n in known.notes if n.code == "earlier_runs_dropped")


def test_without_a_run_of_one_server_a_share_of_the_smallest_fleet_stands_in_and_says_so():
    known = gathered(run(4, 400.0, 1.1), run(8, 700.0))
    assert known.identity.servers == 4
    assert known.sustained_rps.mid == pytest.approx(100.0)
    assert known.sustained_rps.low == pytest.approx(100 / 1.1)
    assert [note.code for note in known.notes] == ["one_server_not_measured"]
    measured = gathered(run(4, 400.0, 1.1), run(8, 700.0), run(1, 110.0))
    assert measured.sustained_rps.mid == 110.0
    assert measured.notes == ()


def test_without_a_run_of_one_server_the_law_says_what_one_sustains():
    known = gathered(*rates(0.05, 0.001, 100.0, 2, 4, 8, 16, 32))
    low, mid, high = (getattr(known.sustained_rps, end) for end in ("low", "mid", "high"))
    assert mid == pytest.approx(100.0, rel=1e-3)
    assert low < 100.0 < high
    assert [note.code for note in known.notes] == ["one_server_not_measured"]


def test_trials_are_kept_with_the_run_that_made_them():
    # trials are only carried around here: a rate is enough to tell them apart
    trial: Any = Trial.model_construct
    one, two, four = (run(n, 100.0 * n, trials=(trial(rate_rps=n),)) for n in (1, 2, 4))
    for order in ((four, two, one), (one, two, four), (two, one, four)):
        known = gathered(*order)
        assert known.trials == one.trials
        assert [p.trials for p in points(known)] == [(), two.trials, four.trials]


def test_two_points_make_no_law_and_neither_does_one_without_a_middle():
    two = gathered(run(1, 100.0), run(2, 190.0))
    assert two.scaling is not None
    assert two.scaling.law is None
    unknown = run(4, None, verdict="not_reached")
    known = gathered(run(1, 100.0), run(2, 190.0), unknown)
    assert counts(known) == [1, 2, 4]
    assert known.scaling is not None
    assert known.scaling.law is None


def test_the_law_through_points_past_the_knee_is_identified_and_its_peak_lies_in_its_interval():
    known = gathered(*rates(0.02, 0.004, 100.0, 1, 2, 4, 8, 16, 24))
    law = law_of(known)
    peak = math.sqrt(0.98 / 0.004)
    assert law.identified
    assert law.peak_servers == pytest.approx(peak, rel=1e-3)
    low, high = ends(law.intervals["peak_servers"])
    assert low < peak < high
    assert "peaks at 15.7 servers" in described(law)
    assert laws(law).reach == 16


def test_servers_that_add_up_show_no_peak_and_identify_nothing():
    law = law_of(gathered(*rates(0.0, 0.0, 100.0, 1, 2, 4, 8)))
    assert (law.peak_servers, law.identified) == (None, False)
    assert law.intervals["peak_servers"].high is None
    assert described(law).startswith("not identified")
    assert laws(law).reach == 8


def test_a_bend_that_the_points_doubt_is_not_identified():
    # the middles have bent just enough, but a third of what the intervals allow has not
    wide = [run(n, r, 1.15) for n, r in ((1, 100.0), (2, 184.0), (4, 298.0))]
    sharp = [run(n, r, 1.001) for n, r in ((1, 100.0), (2, 184.0), (4, 298.0))]
    assert law_of(gathered(*sharp)).identified
    law = law_of(gathered(*wide))
    assert 0.3 < law.identified_share < 0.9
    assert not law.identified


def test_the_interval_of_the_peak_is_as_wide_as_the_peaks_of_repeated_measurements_spread():
    # of 200 sets of points that are off by what the intervals say, 95 % lie in it; that share has
    # a standard error of 1.5 points, and the 256 resampled fits about as much
    truth = Fit(0.03, 0.002, 100.0, None, None, False)
    servers, rng, sd = (1, 2, 4, 8, 16, 32), np.random.default_rng(1), 0.05 / 1.96
    inside = []
    for _ in range(200):
        seen = [truth.throughput(n) * math.exp(sd * rng.standard_normal()) for n in servers]
        inside.append(fit(servers, seen).peak_servers)
    found = law_of(gathered(*[run(n, truth.throughput(n), 1.05) for n in servers]))
    low, high = ends(found.intervals["peak_servers"])
    share = np.mean([peak is not None and low <= peak <= high for peak in inside])
    assert 0.89 <= share <= 0.99


def test_a_capacity_with_scaling_survives_the_file():
    known = gathered(*rates(0.02, 0.004, 100.0, 1, 2, 4, 8))
    assert from_json(to_json(known), Capacity, "a file") == known
