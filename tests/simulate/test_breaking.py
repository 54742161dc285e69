"""Breaking points, sweeps and seconds: each against what is known from elsewhere."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.plan.vary import varied
from capplan.render.breaking import sweep_csv
from capplan.render.csv import act as act_as_csv
from capplan.results.sweep import Sweep
from capplan.simulate.acts import ATTACK, Script, stage
from capplan.simulate.breaking import LEAST, bisect, breaking_points
from capplan.simulate.detail import QUANTILES, detail, percentiles
from capplan.simulate.kernel.setup import simulate_until
from capplan.simulate.kernel.tally import BINS, COUNTS, LAYERS, bin_ends_s
from capplan.simulate.outcome import act
from capplan.simulate.scene import Scene
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


def played() -> tuple[Scene, Script, object]:
    scene = sale({"bots": BOTS, "surprise": "2"})
    script = Script(ATTACK, 2.0, True, 5, ("waf", "concurrency-limit", "queue-bound"))
    return scene, script, simulate_until(stage(scene, script, 1), float(scene.seconds))


def test_seconds_and_classes_add_up_to_the_act():
    scene, script, world = played()
    shown = detail(scene, script, world)  # type: ignore[arg-type]
    total = act(scene, script, world)  # type: ignore[arg-type]
    assert shown.classes == ("browse", "cart", "pay", "flood", "all")
    rows = list(csv.DictReader(io.StringIO(act_as_csv(shown, header=True))))
    assert len(rows) == scene.seconds * 5
    header = act_as_csv(shown, header=True).splitlines()[0].split(",")
    assert len(set(header)) == len(header)
    for name, outcome in total.classes.items():
        of_class = [row for row in rows if row["class"] == name]
        assert sum(float(row["offered"]) for row in of_class) == outcome.offered
        assert sum(float(row["good"]) for row in of_class) == outcome.served
        refused = sum(
            float(cell)
            for row in of_class
            for key, cell in row.items()
            if key.startswith("refused_")
        )
        assert refused == sum(outcome.rejected_by.values())
    everyone = [row for row in rows if row["class"] == "all"]
    for name, count in (("paid", total.paid), ("begun", total.visits)):
        assert sum(float(row[f"visits_{name}"]) for row in everyone) == count
    assert [float(row["t_s"]) for row in everyone] == list(range(scene.seconds))
    for row in everyone:
        assert float(row["admitted"]) <= float(row["attempts"])
        parts = sum(float(row[name]) for name in ("queued", "served", "bucket"))
        assert float(row["in_flight"]) == parts
    assert shown.counts[:, :-1].sum() == shown.counts[:, -1].sum()
    assert shown.levels.shape == (scene.seconds, len(LAYERS))
    assert shown.counts.shape[2] == len(COUNTS)


def test_percentiles_of_a_histogram_are_those_of_its_values_to_within_a_bin():
    rng = np.random.default_rng(1)
    values = rng.lognormal(-3, 1, (4, 5000))
    bins = np.stack([np.bincount(np.searchsorted(bin_ends_s(), one), minlength=BINS)
                     for one in values])  # fmt: skip
    found = percentiles(bins, QUANTILES)
    # a bin is a ninth wide, and its middle is half a bin from either end
    assert found == pytest.approx(np.quantile(values, QUANTILES, axis=1).T, rel=0.08)
    assert np.isnan(percentiles(np.zeros((1, BINS), int), QUANTILES)).all()
