"""What capplan would have said before five famous days, against what came.

Each plan in ``backtest/`` holds what its makers could know, with sources; the rest is marked as an
assumption. Run it with ``python backtest.py``.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from capplan.results.demand import Demand, Percentiles
from capplan.units import format_count
from capplan.workflow import estimate

HERE = Path(__file__).parent


class Day(NamedTuple):
    """One day: its plan, what is compared, and how much of it came."""

    plan: str
    what: str
    forecast: Callable[[Demand], Percentiles]
    came: float


def in_ten_hours(demand: Demand) -> Percentiles:
    """Return the orders of the first ten hours: as much of all as requests come by then."""
    profile = demand.profile
    steps = zip(pairwise(profile.t_s), profile.rps_p50[1:], strict=True)
    parts = [(until_s, (until_s - from_s) * rate) for (from_s, until_s), rate in steps]
    share = sum(sent for t_s, sent in parts if t_s <= 36_000) / sum(sent for _, sent in parts)
    visits = demand.visits_total
    # 2.6 % of the visits order, and every visit sends the same requests
    return Percentiles(**{key: value * share * 0.026 for key, value in visits})


def orders_per_min(demand: Demand) -> Percentiles:
    """Return the orders of the busiest minute, which the plan makes one know."""
    assert demand.peak_orders_per_min
    return demand.peak_orders_per_min


DAYS = (
    Day("healthcare", "people at once", lambda demand: demand.peak_visitors, 250e3),
    Day("ticketmaster", "visits", lambda demand: demand.visits_total, 14e6),
    Day("pokemon", "visits, target 1M", lambda demand: demand.visits_total, 50e6),
    Day("flipkart", "orders in 10 h", in_ten_hours, 1.5e6),
    # 544,000 in the busiest second: a minute of such seconds
    Day("singles-day", "orders/min", orders_per_min, 60 * 544e3),
)


def fell(came: float, forecast: Percentiles) -> str:
    """Say where in the forecast it fell."""
    if came > forecast.p99:
        return "beyond p99"
    if came > forecast.p95:
        return "beyond p95"
    return "within p5 to p95" if came >= forecast.p5 else "below p5"


def main() -> None:
    """Print the table."""
    print(f"{'':13}{'':19}{'p5':>7}{'p50':>7}{'p95':>7}{'came':>7}{'of p50':>9}")
    for day in DAYS:
        demand = estimate(HERE / "backtest" / f"{day.plan}.yaml", draws=10_000)
        said = day.forecast(demand)
        values = (said.p5, said.p50, said.p95, day.came)
        print(
            f"{day.plan:13}{day.what:19}"
            + "".join(f"{format_count(value):>7}" for value in values)
            + f"{day.came / said.p50:>8.1f}x  {fell(day.came, said)}"
        )


if __name__ == "__main__":
    main()
