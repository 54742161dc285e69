"""A measured scaling law decides in place of the assumed loss, and only as far as it is known."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from capplan.gate import judge
from capplan.model.scalability import Fit
from capplan.recommend import recommend
from capplan.results.basis import Basis, basis
from capplan.results.capacity import Capacity, SustainedRate
from capplan.results.recommendation import Recommendation
from capplan.results.scaling import accumulate
from capplan.results.verdict import Check
from tests.recommend.builders import certain, demand, plan, provenance

# the middle peak is 4,000 rps, and one server sustains 200
ONE_RPS = 200.0
NO_LOSS = (0.0, 0.0)  # servers that add up: never identified
PEAK_AT_50 = (0.01, 0.99 / 50**2)  # carries 3,370 rps at most
PEAK_AT_100 = (0.002, 0.998 / 100**2)  # carries 9,180 rps at most


@cache
def measured(law: tuple[float, float], *servers: int, width: float = 1.01) -> Capacity:
    """A capacity with runs at these numbers of servers, exactly on a law."""
    model, known = Fit(*law, ONE_RPS, None, None, False), None
    for count in servers:
        mid = model.throughput(count)
        one = certain(ONE_RPS)
        rate = SustainedRate(low=mid / width, mid=mid, high=mid * width, confidence=0.95)
        identity = one.identity.model_copy(update={"servers": count})
        known = accumulate(
            known, one.model_copy(update={"identity": identity, "sustained_rps": rate})
        )
    assert known is not None
    return known


def decided(capacity: Capacity, asked: int | None = None, **servers: Any) -> Recommendation:
    wide: dict[str, Any] = {"scaling_loss": None} | servers
    return recommend(plan(wide), demand(), capacity, provenance(), asked)


def stands_on(capacity: Capacity, **servers: Any) -> Basis:
    return basis(plan({"scaling_loss": None} | servers), demand(), capacity)


def scaling_check(capacity: Capacity, planned: int, **servers: Any) -> Check:
    asked = plan({"scaling_loss": None, "planned": str(planned)} | servers)
    verdict = judge(asked, demand(), capacity, provenance())
    (check,) = (check for check in verdict.checks if check.name == "scaling")
    return check


def codes(result: Recommendation) -> set[str]:
    return {note.code for note in result.notes}


def test_the_fleet_follows_the_law_and_not_the_assumed_loss():
    capacity = measured(PEAK_AT_100, 1, 16, 64, 120)
    model = Fit(*PEAK_AT_100, ONE_RPS, None, None, False)
    for scaling_loss in (None, "0%", "50%"):
        found = stands_on(capacity, scaling_loss=scaling_loss)
        for servers in (1, 10, 60, 99):
            # the points differ by 1 %, and so do the laws through them
            middle = float(np.median(found.fleet.rates(servers)))
            assert middle == pytest.approx(model.throughput(servers), rel=0.01)
    assert "assumed_scaling" not in codes(decided(capacity))


def test_a_law_measured_behind_a_balancer_holds_what_that_loses():
    capacity = measured(PEAK_AT_100, 1, 16, 64, 120)
    even, uneven = (stands_on(capacity, imbalance=loss).fleet for loss in ("0%", "30%"))
    assert np.array_equal(even.rates(64), uneven.rates(64))
    assert "imbalance_measured" in codes(decided(capacity, imbalance="0% to 30%"))
    for left_out in ("0%", None):
        assert "imbalance_measured" not in codes(decided(capacity, imbalance=left_out))


def test_the_doubt_about_the_law_is_the_doubt_about_the_fleet():
    narrow = stands_on(measured(PEAK_AT_100, 1, 16, 64, 120, width=1.01)).fleet.rates(64)
    wide = stands_on(measured(PEAK_AT_100, 1, 16, 64, 120, width=1.1)).fleet.rates(64)
    spread = [np.log(np.quantile(r, 0.95) / np.quantile(r, 0.05)) for r in (narrow, wide)]
    # logarithms of the points spread ten times as far: log 1.1 / log 1.01 = 9.6
    assert spread[1] / spread[0] == pytest.approx(9.6, rel=0.2)


@pytest.mark.parametrize("width", [1.01, 1.1])
def test_more_servers_never_raise_the_risk_up_to_the_peak_of_the_law(width):
    found = stands_on(measured(PEAK_AT_100, 1, 16, 64, 120, width=width))
    assert found.most is not None
    risks = [found.overload(servers) for servers in range(1, found.most + 1)]
    assert risks == sorted(risks, reverse=True)


def test_a_fleet_past_the_peak_is_excused_and_the_peak_is_the_most_that_is_recommended():
    result = decided(measured(PEAK_AT_50, 1, 16, 32, 60), asked=120)
    assert not result.feasible
    assert result.servers == 50
    assert "past the peak of the scaling law at 50: more servers carry less" in result.reasons[0]
    (past,) = (option for option in result.options if option.servers == 120)
    assert past.excuse == "past the peak of the scaling law at 50: more servers carry less"
    (best,) = (option for option in result.options if option.chosen)
    assert past.fleet_rps < best.fleet_rps


def test_a_law_that_is_not_identified_is_not_extrapolated():
    result = decided(measured(NO_LOSS, 1, 2, 4, 8), asked=60)
    assert not result.feasible
    assert result.servers <= 8
    excuse = "beyond the 8 servers measured, where the scaling law is not identified"
    (asked,) = (option for option in result.options if option.servers == 60)
    assert asked.excuse == excuse
    assert excuse in result.reasons[0]


def test_a_law_that_is_not_identified_decides_up_to_the_largest_fleet_measured():
    small = demand(peak_rps=500.0)
    result = recommend(
        plan({"scaling_loss": None}), small, measured(NO_LOSS, 1, 2, 4, 8, 16), provenance()
    )
    assert result.feasible
    assert result.servers <= 16


def test_beyond_it_the_plans_own_loss_comes_on_top_and_is_noted():
    capacity = measured(NO_LOSS, 1, 2, 4, 8)
    result = decided(capacity, scaling_loss="20%")
    assert result.feasible
    assert result.servers > 8
    assert "assumed_scaling_beyond" in codes(result)
    found = stands_on(capacity, scaling_loss="20%")
    assert np.median(found.fleet.rates(8)) == pytest.approx(8 * ONE_RPS, rel=0.02)
    # each further server is worth as much as those measured, less the loss
    assert np.median(found.fleet.rates(100)) == pytest.approx(0.8 * 100 * ONE_RPS, rel=0.02)
    # the ninth server does not make the fleet smaller
    assert np.all(found.fleet.rates(9) >= found.fleet.rates(8) * (1 - 1e-12))


def test_a_planned_fleet_beyond_what_is_identified_makes_the_gate_inconclusive():
    capacity = measured(NO_LOSS, 1, 2, 4, 8)
    assert scaling_check(capacity, 9).outcome == "inconclusive"
    assert scaling_check(capacity, 8).outcome == "pass"
    assert scaling_check(capacity, 9, scaling_loss="20%").outcome == "pass"


def test_a_planned_fleet_past_the_peak_fails_the_gate():
    capacity = measured(PEAK_AT_50, 1, 16, 32, 60)
    assert scaling_check(capacity, 51).outcome == "fail"
    assert scaling_check(capacity, 50).outcome == "pass"


def test_two_fleets_that_deny_the_assumed_loss_are_noted():
    capacity = measured((0.4, 0.0), 1, 4)  # four servers lose more than half
    result = decided(capacity, scaling_loss="0% to 15%")
    assert "contradicts_scaling" in codes(result)
    (note,) = (note for note in result.notes if note.code == "contradicts_scaling")
    assert "4 servers were measured to lose 55%" in note.message
    assert "contradicts_scaling" not in codes(decided(measured((0.02, 0.0), 1, 4)))
