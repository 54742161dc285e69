import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from capplan.recommend import recommend
from capplan.recommend.autoscaling import SCHEDULE, Scaler
from capplan.recommend.options import Decider
from capplan.results.basis import basis
from capplan.results.capacity import Capacity
from capplan.results.demand import Profile
from capplan.results.recommendation import Alone, Autoscaling, Recommendation
from capplan.results.resources import CpuAtRate, Resources
from tests.recommend.builders import (
    REQUESTS_PER_VISIT,
    START,
    certain,
    demand,
    plan,
    provenance,
)

SALE = datetime.fromisoformat(START)
ONE_RPS = 100.0
JUMP = ((-15.0, 600.0), (0.0, 600.0), (1e-6, 10_000.0), (1200.0, 10_000.0))
PODS = {"today": "10", "boot": "30 s", "warmup": "0", "headroom": "40%", "limit": "1000"}


def through(*points: tuple[float, float]) -> Profile:
    t_s, high = (tuple(column) for column in zip(*points, strict=True))
    return Profile(t_s=t_s, rps_p5=high, rps_p50=high, rps_p95=high)


def answer(
    *points: tuple[float, float], policy: dict[str, Any] | None = None, **servers: Any
) -> Recommendation:
    return recommend(
        plan(PODS | servers, policy),
        demand(profile=through(*points), count=400),
        certain(ONE_RPS),
        provenance(),
    )


def trigger(result: Recommendation) -> Autoscaling:
    assert result.autoscaling is not None
    return result.autoscaling


def alone(result: Recommendation, rule: str, metric: str = "cpu") -> Alone:
    found = trigger(result).alone
    return next(one for one in found if (one.rule, one.metric) == (rule, metric))


def test_the_trigger_leaves_the_head_room_free_of_what_each_server_sustains() -> None:
    found = trigger(answer(*JUMP, headroom="30%"))
    assert found.metric == "requests"
    assert found.at_sustained == pytest.approx(100)
    assert found.value == pytest.approx(70)


def test_what_running_many_servers_loses_is_not_in_the_trigger() -> None:
    found = trigger(answer(*JUMP, headroom="30%", scaling_loss="20%"))
    assert found.value == pytest.approx(0.8 * 70)


def with_cpu(mid: float, idle: float) -> Capacity:
    """A server whose CPU was seen: idle without load, mid at the sustained rate."""
    cpu = CpuAtRate(
        rate_rps=ONE_RPS,
        low=None,
        mid=mid,
        high=None,
        confidence=0.95,
        idle=idle,
        per_rps=(mid - idle) / ONE_RPS,
        trials=3,
    )
    return certain(ONE_RPS, resources=Resources(seen_by=("processes",), cpu_at_sustained=cpu))


def on_cpu(capacity: Capacity) -> Recommendation:
    return recommend(plan(PODS), demand(profile=through(*JUMP), count=400), capacity, provenance())


def test_where_cpu_was_measured_the_trigger_is_the_cpu_that_leaves_the_head_room() -> None:
    result = on_cpu(with_cpu(0.8, idle=0.1))
    found = trigger(result)
    assert found.metric == "cpu"
    assert found.at_sustained == 0.8
    assert found.value == pytest.approx(0.1 + 0.6 * 0.7)
    assert found.requests_per_server_rps == pytest.approx(60)
    assert any("keep 52% CPU" in reason for reason in result.reasons)


def test_cpu_that_is_not_full_at_the_sustained_rate_makes_the_fleet_grow_faster() -> None:
    # it shows up to 100 %, which is 1.25 of what is sustained
    quick, slow = (alone(result, "Kubernetes HPA") for result in (
        on_cpu(with_cpu(0.8, idle=0.0)), on_cpu(certain(ONE_RPS)),
    ))  # fmt: skip
    assert quick.short_s < slow.short_s


@pytest.mark.parametrize(("mid", "idle"), [(0.05, 0.0), (0.9, 0.85)], ids=["low", "flat"])
def test_cpu_that_does_not_tell_of_the_load_is_no_trigger(mid: float, idle: float) -> None:
    assert trigger(on_cpu(with_cpu(mid, idle))).metric == "requests"


def test_alone_the_autoscaler_loses_what_the_worked_example_says() -> None:
    result = answer(*JUMP)
    found = alone(result, "Kubernetes HPA")
    assert found.lost_visits == pytest.approx(1_408_500 / REQUESTS_PER_VISIT, rel=1e-6)
    assert found.short_until == SALE + timedelta(seconds=225)
    assert found.short_s == pytest.approx(225, abs=1e-3)
    assert found.lost_value is None


def test_a_lost_visit_has_its_value() -> None:
    found = alone(answer(*JUMP, policy={"value_per_visit": "$2"}), "Kubernetes HPA")
    assert found.lost_value == pytest.approx(2 * found.lost_visits)


def test_the_schedule_loses_nothing_where_the_fleet_carries_the_band() -> None:
    result = answer(*JUMP, policy={"overload_risk": "1%"})
    assert result.servers >= 100
    found = alone(result, SCHEDULE, "none")
    assert (found.lost_visits, found.short_s, found.short_until) == (0, 0, None)


def test_the_schedule_loses_what_its_fleet_does_not_carry() -> None:
    result = answer(*JUMP, limit="60")
    found = alone(result, SCHEDULE, "none")
    assert result.servers == 60
    # from the jump to the end of the profile, the band stays where it is
    assert found.lost_visits == pytest.approx(4000 * 1200 / REQUESTS_PER_VISIT, rel=1e-6)


def test_the_quota_bounds_the_autoscaler_and_twice_the_fleet_where_there_is_none() -> None:
    assert trigger(answer(*JUMP, limit="200")).most_servers == 200
    free = answer(*JUMP, limit=None)
    assert trigger(free).most_servers == 2 * free.servers
    assert trigger(free).least_servers == 10


def test_the_answer_says_what_autoscaling_alone_would_lose() -> None:
    result = answer(*JUMP)
    said = result.reasons[-1]
    best = min(trigger(result).alone[:3], key=lambda one: one.lost_visits)
    assert said.startswith(f"without a schedule even the best of them ({best.name})")
    assert "come too late" in said


def test_a_crowd_that_an_autoscaler_follows_is_said_to_be_one() -> None:
    result = answer((0.0, 500.0), (7200.0, 1200.0))
    assert result.reasons[-1].startswith("an autoscaler alone would keep up")
    assert all(one.short_s == 0 for one in trigger(result).alone)


def test_a_demand_that_today_carries_asks_nothing_of_an_autoscaler() -> None:
    result = answer((0.0, 10.0), (7200.0, 10.0))
    assert all(one.lost_visits == 0 for one in trigger(result).alone)
    assert math.isfinite(trigger(result).value)


def test_the_band_is_counted_at_the_mix_of_the_load_test() -> None:
    """Its visits make half the requests of the plan's, so that all is half as much."""
    asked, traffic = plan(PODS), demand(profile=through(*JUMP), count=400)
    found = basis(asked, traffic, certain(2 * ONE_RPS))
    half = replace(found, peaks=replace(found.peaks, per_visit=REQUESTS_PER_VISIT / 2))
    by_half = Scaler(Decider(asked, traffic, half), 100, None).result(())
    plain = Scaler(Decider(asked, traffic, found), 100, None).result(())
    twice = recommend(plan(PODS), traffic, certain(4 * ONE_RPS), provenance())
    assert by_half.alone[0].lost_visits < plain.alone[0].lost_visits
    # half the requests on servers of 200 rps are as all of them on servers of 400 rps
    assert by_half.alone[0].lost_visits == pytest.approx(
        alone(twice, "Kubernetes HPA").lost_visits, rel=1e-9
    )
