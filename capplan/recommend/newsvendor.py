"""What value alone would buy: the newsvendor's quantile, and the servers that go with it.

One more server costs Co. When the fleet is too small it would serve its rate for as long as the
overload lasts, which is worth Cu + Co. So it pays as long as

    P(overload)·(Cu + Co) > Co,    that is P(overload) > 1 - Cu/(Cu + Co)

(the newsvendor's critical ratio: F. Edgeworth 1888; K. Arrow, T. Harris, J. Marschak 1951).
"""

from __future__ import annotations

from capplan.recommend.options import Decider, first
from capplan.results.recommendation import Newsvendor


def newsvendor(decider: Decider) -> Newsvendor | None:
    """Return what value alone would buy; None without a value of a visit or a price.

    The excess is taken to be shed, as in the classical problem: then the expected loss is convex in
    the servers, and the first count at which one more no longer pays is the cheapest of all.
    """
    value = decider.plan.policy.value_per_visit
    price = decider.basis.cost_usd(1)
    if not value or not price:
        return None

    def enough(servers: int) -> bool:
        return decider.saved(servers)[0] * value <= price

    servers = first(enough, decider.most)
    over = decider.basis.overload(servers)
    saved = decider.saved(servers)[0] * value
    if saved <= 0 or over <= decider.basis.peaks.resolution:
        return Newsvendor(servers=servers, overage_usd=price, underage_usd=None, quantile=None)
    shortage = saved / over  # what one server would have saved, given an overload: Cu + Co
    underage = max(0.0, shortage - price)
    return Newsvendor(
        servers=servers,
        overage_usd=price,
        underage_usd=underage,
        quantile=underage / (underage + price),
    )
