"""Who gets what there is to buy, and under which names bots are counted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.render.simulation import act_line
from capplan.simulate.acts import ATTACK, SURPRISE, Script
from capplan.simulate.play import play
from capplan.simulate.protections import settings
from capplan.simulate.stock import sold
from tests.simulate.test_play import sale

COUNTS = st.lists(st.integers(0, 50), min_size=5, max_size=5).map(lambda n: np.array(n, float))


@given(COUNTS, COUNTS, st.integers(1, 400))
def test_never_more_is_sold_than_there_is_and_all_of_it_while_people_want_it(paid, bought, stock):
    found = sold(paid, bought, float(stock))
    wanted = int(paid.sum() + bought.sum())
    assert found.paid + found.scalped == pytest.approx(min(stock, wanted), abs=1)  # both rounded
    assert found.paid <= paid.sum()
    assert (found.out_at_s is not None) == (wanted >= stock)


def test_what_is_bought_before_the_end_of_the_stock_is_bought_in_full():
    found = sold(np.array([5.0, 5.0, 9.0]), np.array([0.0, 10.0, 27.0]), 32.0)
    assert (found.paid, found.scalped, found.out_at_s) == (13, 19, 2.0)


SCALPERS = {"name": "scalpers", "rate": "40 rps", "sources": "400", "buys": "yes"}


def bare(**saleday):
    stage = sale({"surprise": "1", **saleday}, planned="20")
    return next(play(stage, [Script(ATTACK, 1.0, True, 20, ())], 1))


def test_scalpers_take_what_shoppers_would_have_bought_and_floods_only_ask():
    """On a fleet that carries all: who buys is a matter of rates alone."""
    flood = {name: value for name, value in SCALPERS.items() if name != "buys"}
    asked = bare(stock="300", bots=[flood | {"target": "pay"}])
    scalped = bare(stock="300", bots=[SCALPERS])
    assert (asked.paid, asked.scalped) == (300, 0)
    assert scalped.paid + scalped.scalped == 300
    assert scalped.scalped > 150
    assert scalped.could_pay == 300
    assert scalped.sold_out_at_s is not None
    assert asked.sold_out_at_s is not None
    assert scalped.sold_out_at_s < asked.sold_out_at_s
    assert f"bots bought {scalped.scalped}" in act_line(scalped)


@pytest.mark.parametrize(("stock", "left"), [("200", 0), ("1000000", None)])
def test_overload_costs_no_more_than_what_stays_in_stock(stock, left):
    """The surprise abandons thousands of visits; each is worth $2, and one in four wants to pay."""
    stage = sale({"stock": stock})
    found = next(play(stage, [Script(SURPRISE, 5.0, False, 5, ())], 1))
    assert found.abandoned > 1000
    assert found.lost_value == 2 * (found.abandoned if left is None else left)
    # a few are left: what it takes to sell them, and not what was abandoned
    few = sale({"stock": str(found.paid + 10)})
    if left is None:
        again = next(play(few, [Script(SURPRISE, 5.0, False, 5, ())], 1))
        assert again.lost_value == pytest.approx(2 * 10 / 0.25)


def test_a_visit_that_comes_when_all_is_sold_could_not_have_paid():
    """Of the most that could, as of the money: what is sold out is the end of it."""
    found = next(play(sale({"stock": "50"}), [Script(SURPRISE, 5.0, False, 5, ())], 1))
    assert found.sold_out_at_s is not None
    assert (found.paid, found.could_pay, found.paid_ratio) == (50, 50, 1)


def test_without_a_stock_there_is_no_end():
    found = bare(bots=[SCALPERS])
    assert found.sold_out_at_s is None
    # each of 40 answers a second buys: Poisson, four standard deviations
    seconds = len(found.series.t_s)
    assert found.scalped == pytest.approx(40 * seconds, abs=4 * (40 * seconds) ** 0.5)


def test_a_rule_per_user_sees_through_addresses_that_share_their_ids():
    """Each of 1,000 addresses makes few requests, each of their 10 user ids very many."""
    group = {"name": "flood", "rate": "600 rps", "sources": "1000", "users_per_source": "0.01x"}
    limit = {"requests": "60", "window": "1 min"}

    def refused(per: str) -> float:
        stage = sale({"surprise": "1", "bots": [group],
                      "limits": {"per_source": limit | {"per": per}}})  # fmt: skip
        script = Script(ATTACK, 1.0, True, 5, ("per-source-limit",))
        outcome = next(play(stage, [script], 1)).classes["flood"]
        return outcome.rejected_by.get("per-source-limit", 0) / outcome.offered

    # 36 requests a minute from an address; of 3,600 of a user id 60 are let through
    assert refused("source") < 0.01
    assert refused("user") == pytest.approx(1 - 60 / 3600, abs=0.03)


def test_the_setting_counts_what_the_rule_counts():
    group = {"name": "flood", "rate": "600 rps", "sources": "1000", "users_per_source": "2x"}
    stage = sale({"bots": [group], "limits": {"per_source": {"per": "user"}}})
    limit = next(one for one in settings(stage, 5) if one.protection == "per-source-limit")
    assert "2000 users" in limit.why


def test_a_stock_is_that_of_the_whole_sale_whatever_part_is_simulated():
    stage = sale({"surprise": "1", "stock": "100", "bots": [SCALPERS]}, planned="20")
    script = Script(ATTACK, 1.0, True, 20, ())
    part = next(play(stage, [script], 1, 0.5))
    assert part.paid + part.scalped == pytest.approx(100, abs=1)
    assert replace(stage, share=0.5).stock == 100
