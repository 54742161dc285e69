"""Breaking points, sweeps and seconds: each against what is known from elsewhere."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.plan.vary import varied
from capplan.render.breaking import sweep_csv
from capplan.results.sweep import Sweep
from capplan.simulate.acts import ATTACK, Script
from capplan.simulate.breaking import LEAST, bisect, breaking_points
from capplan.simulate.sweep import swept
from capplan.simulate.together import perform
from tests.recommend import builders
from tests.simulate.test_play import PEAK_RPS, sale

BOTS = [{"name": "flood", "rate": "400 rps", "sources": "20", "start": "30 s", "duration": "1 min"}]


@given(st.floats(0.11, 99.0))
def test_bisection_encloses_the_truth_within_its_precision(truth):
    tried: list[float] = []

    def holds(factor: float) -> bool:
        tried.append(factor)
        return bool(factor <= truth)

    low, high = bisect(holds, 0.1, 100.0, 0.02)
    assert low is not None
    assert high is not None
    assert low <= truth < high <= 1.0201 * low
    assert len(tried) < 16


def test_without_protection_a_plan_breaks_where_its_load_passes_what_the_servers_finish():
    stage_ = sale({"attempts": "1"})
    found = breaking_points(stage_, ("queue-bound",), builders.provenance())
    by_set = {(one.protections, one.attacked): one for one in found.points}
    assert found.full_at == pytest.approx(stage_.capacity_rps(5) / PEAK_RPS, rel=0.05)
    bare = by_set[(), False]
    assert bare.survives is not None
    # goodput is lost once the queue is longer than the patience of 3 s: the peak is a slope of
    # 1 rps per second, so 3 s of μ are filled when the load has been some 10 % above it
    assert found.full_at < bare.survives < 1.25 * found.full_at
    # as many requests again by the default bots: nothing is left for shoppers
    attacked = by_set[(), True]
    assert attacked.survives is None or attacked.survives < bare.survives
    assert (attacked.breaks or LEAST) >= LEAST


def test_twice_the_servers_survive_about_twice_the_demand():
    one, two = (
        breaking_points(sale(planned=count), (), builders.provenance()).points[0].survives
        for count in ("5", "10")
    )
    assert one is not None
    assert two == pytest.approx(2 * one, rel=0.1)


def sweep_of(key: str, values: list[float]) -> Sweep:
    base = sale({"bots": BOTS, "surprise": "2"})
    scenes = [replace(base, plan=varied(base.plan, key, value)) for value in values]
    points = swept(scenes, [(value, f"{value:g}") for value in values], ("queue-bound",), 1)
    return Sweep(**dict(builders.provenance()), key=key, scale=1.0, points=tuple(points))


def test_a_sweep_plays_the_acts_of_each_plan():
    found = sweep_of("saleday.attempts", [1.0, 3.0])
    assert [point.value for point in found.points] == [1.0, 3.0]
    assert [act.name for act in found.points[0].acts] == [
        "surprise", "surprise", "surprise + bots", "surprise + bots",
    ]  # fmt: skip
    base = sale({"bots": BOTS, "surprise": "2"})
    by_hand = perform(base, Script(ATTACK, 2.0, True, 5, ("queue-bound",)), 1)
    last = found.points[1].acts[-1]
    assert (last.paid, last.abandoned, last.outcome) == (
        by_hand.paid, by_hand.abandoned, by_hand.outcome,
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(sweep_csv(found))))
    assert len(rows) == 8
    assert rows[-1]["saleday.attempts"] == "3"
    assert int(rows[-1]["paid"]) == by_hand.paid
