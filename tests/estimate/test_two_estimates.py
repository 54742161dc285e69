import pytest

from tests.estimate.builders import CERTAIN, USUAL, channel, codes, demand_of, log_width, plan, six


def test_usual_orders_alone_are_an_estimate_of_their_own():
    demand = demand_of(plan(usual=USUAL))
    assert [entry.method for entry in demand.estimates] == ["multiple"]
    assert "no_audience" in codes(demand)
    # 300·10/.025 visits within 2 h, by which a few of the rush are still to come
    assert demand.visits_total.p50 == pytest.approx(120_000, rel=0.001)
    # the rush: .32/805 + .68/7200 of them a second at first, seen through a visit of 5 min
    assert 1 < demand.peak_rps.p50 / (120_000 * 40 / 7200) < 3.6
    assert 0 < demand.peak_at_s < 600


def test_two_estimates_are_mixed_with_equal_weight():
    # 7,200 visits from the audience, 14,400 from usual orders, both certain
    usual = USUAL | {"orders_per_day": "36"}
    demand = demand_of(plan(CERTAIN, usual=usual), 10_000)
    funnel, multiple, combined = demand.estimates
    methods = ("funnel", "multiple", "combined")
    assert tuple(entry.method for entry in demand.estimates) == methods
    assert six(funnel.visits_total) == pytest.approx([7200] * 6)
    assert six(multiple.visits_total) == pytest.approx([14_400] * 6)
    assert six(multiple.peak_rps) == pytest.approx([80] * 6)
    # the standard error of a share of one half among 10,000 is .5 %, of the mean .25 %
    assert combined.visits_total.mean == pytest.approx(10_800, rel=0.01)
    assert (demand.peak_rps, demand.visits_total) == (combined.peak_rps, combined.visits_total)
    assert (demand.peak_rps.p5, demand.peak_rps.p95) == pytest.approx((40, 80))


def test_usual_orders_count_within_their_own_window():
    # half of an even audience comes in the first of two hours
    usual = USUAL | {"orders_per_day": "36", "within": "1 h"}
    multiple = demand_of(plan(CERTAIN, usual=usual)).estimates[1]
    assert multiple.visits_total.p50 == pytest.approx(28_800)


def test_history_moves_every_estimate_alike():
    usual = USUAL | {"orders_per_day": "36"}
    history = [{"name": "spring", "forecast": "900 rps", "actual": "1450 rps"}] * 3
    before = demand_of(plan(CERTAIN, usual=usual), 5000)
    after = demand_of(plan(CERTAIN, usual=usual, history=history), 5000)
    ratios = [b.visits_total.p50 / a.visits_total.p50 for a, b in zip(before.estimates,
              after.estimates, strict=True)]  # fmt: skip
    assert all(1.1 < ratio < 1.61 for ratio in ratios[:2])
    assert after.peak_rps.mean > before.peak_rps.mean
    assert after.requests_per_visit == before.requests_per_visit
    (note,) = (note for note in after.notes if note.code == "history")
    assert "earlier sales (3)" in note.message


def test_good_forecasts_narrow_the_range_and_bad_ones_widen_it():
    wide = channel(reach="200k to 2M")

    def width(*actual: str) -> float:
        history = [{"name": "x", "forecast": "100 rps", "actual": came} for came in actual]
        return log_width(demand_of(plan(wide, history=history), 20_000).peak_rps)

    assert width("100 rps") < width() < width("1200 rps")
    assert width("100 rps", "105 rps", "95 rps") < width("100 rps")


@pytest.mark.parametrize(("weight", "mean"), [("0%", 7200), ("25%", 9000), ("100%", 14_400)])
def test_the_plan_weighs_the_two_estimates(weight, mean):
    usual = USUAL | {"orders_per_day": "36", "weight": weight}
    demand = demand_of(plan(CERTAIN, usual=usual), 10_000)
    # the standard error of a share of a quarter among 10,000 is .43 %, of the mean .35 %
    assert demand.visits_total.mean == pytest.approx(mean, rel=0.012)
