from datetime import datetime, timedelta

import pytest

from capplan.recommend import recommend
from capplan.results.demand import Profile
from capplan.results.recommendation import Recommendation
from tests.recommend.builders import START, capacity, demand, plan, provenance

SALE = datetime.fromisoformat(START)


def profile(*points: tuple[float, float]) -> Profile:
    """A profile whose upper band goes through (seconds, rps)."""
    t_s = tuple(t for t, _ in points)
    high = tuple(rate for _, rate in points)
    return Profile(t_s=t_s, rps_p5=high, rps_p50=high, rps_p95=high)


def scheduled(curve: Profile, today: int = 6, duration: str = "2 h") -> Recommendation:
    return recommend(
        plan({"today": str(today)}, sale={"start": START, "duration": duration}),
        demand(profile=curve, count=400),
        capacity(),
        provenance(),
    )


def minutes(result: Recommendation) -> list[float]:
    """When the steps are, in minutes from the start of the sale."""
    return [(step.at - SALE).total_seconds() / 60 for step in result.schedule]


def test_the_fleet_starts_so_early_that_it_has_booted_warmed_up_and_time_to_spare() -> None:
    result = scheduled(profile((0, 9000), (3600, 100), (7200, 0)))
    up, down = result.schedule
    assert minutes(result)[0] == -(4 + 2 + 15)
    assert (up.servers, down.servers) == (result.servers, 6)
    assert up.why == "boot 4 min, warm-up 2 min, and 15 min for a server that fails to start"


@pytest.mark.parametrize(
    ("curve", "down_min"),
    [
        # 6 servers carry 2,230 rps at the least: the demand is below it long before the end
        (profile((0, 9000), (3600, 100), (7200, 0)), 120),
        # … and here only after the sale
        (profile((0, 9000), (7200, 5000), (7800, 2000), (9000, 0)), 130),
        # … and again in a second wave
        (profile((0, 9000), (3600, 100), (7200, 3000), (8400, 100)), 140),
        # a step within a minute waits for the full one
        (profile((0, 9000), (7200, 5000), (7210, 0)), 121),
    ],
)
def test_the_fleet_goes_down_when_today_carries_the_upper_band_again(
    curve: Profile, down_min: float
) -> None:
    result = scheduled(curve)
    assert minutes(result)[1] == down_min
    assert result.schedule[1].why == "95% of the cases now fit on today's 6"


def test_a_profile_that_ends_too_high_is_no_reason_to_go_down() -> None:
    result = scheduled(profile((0, 9000), (7200, 5000)))
    assert "the estimate ends here" in result.schedule[1].why


def test_those_who_come_before_the_start_find_the_fleet_ready() -> None:
    early = scheduled(profile((-900, 100), (-600, 3000), (0, 9000), (7200, 0)))
    assert minutes(early)[0] == -(10 + 4 + 2 + 15)


def test_times_are_in_the_zone_of_the_sale() -> None:
    result = scheduled(profile((0, 9000), (7200, 0)))
    assert {step.at.utcoffset() for step in result.schedule} == {timedelta(hours=1)}


def test_a_longer_schedule_costs_more() -> None:
    short = scheduled(profile((0, 9000), (3600, 0), (7200, 0)))
    long = scheduled(profile((0, 9000), (7200, 5000), (10800, 0)))
    hour = 0.20  # dollars
    for before, after in zip(short.options, long.options, strict=True):
        assert after.cost - before.cost == pytest.approx(before.servers * hour)


def test_where_today_is_enough_nothing_is_scheduled() -> None:
    result = scheduled(profile((0, 9000), (7200, 0)), today=100)
    assert result.schedule == ()
    assert result.servers < 100
    assert result.reasons[0].startswith("today's 100 servers are enough")
