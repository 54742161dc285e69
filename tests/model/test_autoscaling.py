from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capplan.model.autoscaler import HPA, TARGET_TRACKING, Rule, wanted
from capplan.model.autoscaling import Floats, Trajectory, follow

POD_RPS = 100.0
RULES = [HPA, TARGET_TRACKING]


def pods(count: int) -> float:
    return POD_RPS * count


def scaled(
    *points: tuple[float, float],
    rule: Rule = HPA,
    target: float = 0.6,
    start_s: float = 30.0,
    least: int = 10,
    most: int = 1000,
    cap: float = 1.0,
) -> Trajectory:
    """Follow the load through (seconds, requests/s), with pods of 100 requests/s."""
    t_s, rate_rps = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    return follow(
        t_s, rate_rps, pods, rule, target=target, start_s=start_s, least=least, most=most, cap=cap
    )


def jump(to_rps: float, until_s: float = 1200.0) -> tuple[tuple[float, float], ...]:
    """600 requests/s, at which ten pods are 60 % busy, and from 0 on more."""
    return (-15, 600), (0, 600), (0, to_rps), (until_s, to_rps)


def test_ten_pods_need_225_s_and_lose_1_41_million_requests_when_10_000_rps_come_at_once() -> None:
    alone = scaled(*jump(10_000))
    # each round takes 45 s: 15 s until a sync sees the pods, 30 s until the next ones are ready,
    # and grows by 1/0.6 because CPU cannot show more than 100 %
    assert alone.servers[:6] == (10, 17, 29, 49, 82, 137)
    assert alone.t_s[1:6] == (45, 90, 135, 180, 225)
    assert alone.short_until_s == 225
    assert alone.lost_requests == 45 * sum(10_000 - pods(n) for n in (10, 17, 29, 49, 82))


def test_the_fleet_settles_within_the_dead_band_of_the_target() -> None:
    alone = scaled(*jump(10_000, until_s=3600))
    assert 0.9 * 0.6 <= 10_000 / pods(alone.servers[-1]) <= 1.1 * 0.6


def test_a_count_of_arrivals_is_not_capped_and_then_the_fleet_doubles() -> None:
    alone = scaled(*jump(10_000), cap=float("inf"), start_s=1.0)
    # ordered at 15, 30 s, …: ceil(10,000 / 60) = 167 in the end, never more than doubled
    assert alone.servers == (10, 20, 40, 80, 160, 167)[: len(alone.servers)]
    assert alone.t_s[1:4] == (16, 31, 46)


def test_a_small_fleet_grows_by_four_rather_than_doubling() -> None:
    alone = scaled((0, 1e6), (60, 1e6), least=1, cap=float("inf"), start_s=0.0)
    assert alone.servers == (1, 5, 10, 20)


@pytest.mark.parametrize("load", [0.55, 0.6, 0.65])
def test_within_the_dead_band_nothing_changes(load: float) -> None:
    assert wanted(10, 0, load, 0.6) == 10
    assert wanted(10, 5, load, 0.6) in (10, 15)


def test_starting_servers_count_as_idle_so_that_they_are_not_ordered_twice() -> None:
    # 10 · 1/0.6 = 16.7 of the 17 are busy: within 10 % of the target
    assert wanted(10, 7, 1.0, 0.6) == 17
    # … and of 12 too many are busy
    assert wanted(10, 2, 1.0, 0.6) == 17


def test_it_goes_down_only_after_five_quiet_minutes() -> None:
    alone = scaled((0, 6000), (600, 6000), (600, 600), (1200, 600), least=10)
    settled = alone.servers.index(max(alone.servers))
    down_s = alone.t_s[settled + 1]
    # the sync at 600 s still saw the load, the window of 300 s holds it until just after 900 s
    assert 900 < down_s <= 915 + 1e-9
    assert alone.servers[settled + 1] == 10


def test_target_tracking_waits_for_three_minutes_above_the_target() -> None:
    alone = scaled((0, 6000), (3600, 6000), rule=TARGET_TRACKING, start_s=60.0)
    # seen at 60, 120 and 180 s; ordered at 180, ready at 240: 10/0.6 = 17 pods
    assert alone.t_s[1] == 240
    assert alone.servers[1] == 17


def test_target_tracking_goes_down_after_fifteen_minutes() -> None:
    alone = scaled((0, 6000), (1800, 6000), (1800, 600), (4800, 600), rule=TARGET_TRACKING)
    down_s = next(t for t, (a, b) in zip(alone.t_s[1:], pairwise(alone.servers), strict=True)
                  if b < a)  # fmt: skip
    assert 1800 + 15 * 60 <= down_s <= 1800 + 16 * 60


def test_no_more_than_the_quota_is_ordered() -> None:
    alone = scaled(*jump(10_000), most=50)
    assert max(alone.servers) == 50
    assert alone.short_until_s == 1200


def test_a_load_that_ten_pods_hold_loses_nothing() -> None:
    alone = scaled((0, 600), (3600, 600))
    assert (alone.servers, alone.lost_requests, alone.short_until_s) == ((10,), 0.0, None)


def test_what_is_lost_is_the_area_between_load_and_fleet() -> None:
    # a triangle of 2,000 rps over 100 s against 1,000 rps that no pod joins in time
    alone = scaled((0, 0), (50, 2000), (100, 0), start_s=500.0)
    assert alone.lost_requests == pytest.approx(50 * 1000 / 2)
    assert alone.short_s == pytest.approx(50)
    assert alone.short_until_s == pytest.approx(75)


loads = st.lists(st.tuples(st.integers(1, 400), st.floats(0, 20_000)), min_size=3, max_size=8).map(
    lambda steps: [(float(sum(w for w, _ in steps[: i + 1])), r) for i, (_, r) in enumerate(steps)]
)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=40)
@given(load=loads, start_s=st.floats(0, 400), target=st.floats(0.3, 0.9))
def test_it_loses_no_more_than_the_fleet_it_began_with_and_no_less_than_the_largest_it_had(
    rule: Rule, load: list[tuple[float, float]], start_s: float, target: float
) -> None:
    alone = scaled(*load, rule=rule, start_s=start_s, target=target)
    t_s = np.linspace(load[0][0], load[-1][0], 20_001)
    rate_rps = np.interp(t_s, [t for t, _ in load], [rate for _, rate in load])

    def lost(fleet_rps: Floats | float) -> float:
        return float(np.trapezoid(np.maximum(rate_rps - fleet_rps, 0), t_s))

    # the trapezoids are off where λ(t) crosses the fleet: by a step of the grid at most
    close = 2e-3 * (1 + lost(0.0))
    assert lost(pods(max(alone.servers))) - close <= alone.lost_requests
    assert alone.lost_requests <= lost(pods(10)) + close
    steps = np.searchsorted(alone.t_s, t_s, side="right") - 1
    held = np.array([pods(n) for n in alone.servers])[np.maximum(steps, 0)]
    assert alone.lost_requests == pytest.approx(lost(held), abs=close)
    assert min(alone.servers) >= 10
