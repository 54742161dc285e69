"""A part of a sale stands for the whole, within the errors that are stated."""

import math

import pytest

from capplan.errors import UsageError
from capplan.results.simulation import Act
from capplan.simulate.acts import Script, scripts
from capplan.simulate.acts import stage as make_stage
from capplan.simulate.play import play, simulation
from capplan.simulate.scaled import around_peak, check_size, pooling_loss, round_down, shrink
from capplan.simulate.scene import Scene
from tests.recommend import builders
from tests.simulate.test_play import sale

BOTS = [{"name": "flood", "rate": "1800 rps", "sources": "40", "start": "30 s", "duration": "40 s"}]
LARGE = {"surprise": "3", "bots": BOTS, "limits": {"waf": {"lag": "30 s"}, "queue": "2000"}}


def acts_of(stage: Scene, scale: float) -> list[Act]:
    usual = stage.plan.saleday.protections
    return list(play(stage, list(scripts(stage, usual, 60)), 1, scale))


def test_a_fifth_of_the_sale_ends_as_the_whole_within_the_stated_error():
    stage = sale(LARGE, planned="10")
    whole, part = (acts_of(stage, scale) for scale in (1.0, 0.2))
    loss = pooling_loss(stage, 10, 0.2)
    for one, other in zip(whole, part, strict=True):
        # four standard deviations of both counts, and what the smaller pool loses
        chance = 4 * math.sqrt(one.could_pay + 5 * one.could_pay)
        assert other.could_pay == pytest.approx(one.could_pay, abs=chance)
        assert other.paid == pytest.approx(one.paid, abs=chance + loss * one.could_pay)
        assert other.outcome == one.outcome
        assert other.servers == one.servers
        assert other.capacity_rps == one.capacity_rps
    result = simulation(stage, part, builders.demand(), builders.provenance(), scale=0.2)
    assert result.model.scale == 0.2
    assert "20% of demand and fleet" in next(n.message for n in result.notes if n.code == "scaled")


def test_a_share_is_a_whole_number_of_servers_and_never_less_than_one():
    stage = sale(LARGE, planned="10")
    part, script = shrink(stage, Script("x", 3.0, True, 10, ()), 0.25)
    assert (part.share, script.servers) == (0.2, 2)
    assert part.visits_per_s.sum() == pytest.approx(0.2 * stage.visits_per_s.sum())
    assert part.capacity_rps(2) == pytest.approx(0.2 * stage.capacity_rps(10))
    assert [(bot.rate, bot.sources) for bot in part.bots()] == [(360.0, 8)]
    assert part.plan.saleday.limits.queue == 400
    assert shrink(stage, script, 0.001)[1].servers == 1
    assert shrink(stage, script, 1.0) == (stage, script)


def test_servers_that_are_started_ahead_or_ordered_shrink_with_the_fleet():
    limits = {"prescale": {"servers": "20"}, "autoscale": {"most": "40"}}
    stage = sale({"limits": limits}, planned="10", limit="50")
    part, _ = shrink(stage, Script("x", 3.0, True, 10, ()), 0.2)
    less = part.plan.saleday.limits
    assert (less.prescale.servers, less.autoscale.most, part.plan.servers.limit) == (4, 8, 10)
    script = Script("surprise", 3.0, False, 10, ("prescale", "autoscale", "queue-bound"))
    whole, fifth = (next(play(stage, [script], 1, scale)) for scale in (1.0, 0.2))
    assert max(whole.series.servers) >= 20
    assert max(fifth.series.servers) == pytest.approx(max(whole.series.servers), abs=5)
    assert fifth.outcome == whole.outcome


def test_a_smaller_pool_of_slots_carries_less_of_its_capacity():
    stage = sale(planned="10")
    losses = [pooling_loss(stage, 10, share) for share in (1.0, 0.5, 0.1)]
    assert losses[0] == 0
    assert losses == sorted(losses)
    assert 0 < losses[2] < 0.3


def test_what_takes_too_long_is_refused_before_it_begins_and_the_part_is_offered():
    stage = sale({"surprise": "100000"})
    todo = list(scripts(stage, ("waf",), 9))
    with pytest.raises(UsageError, match="one by one takes about") as raised:
        check_size(stage, todo)
    assert "add --scale 0.0" in raised.value.hint
    assert "chance moves the visits that pay by up to" in raised.value.hint
    check_size(sale(), list(scripts(sale(), ("waf",), 9)))


def test_the_minutes_around_the_peak_hold_the_attack_that_has_begun():
    stage = sale({"bots": [*BOTS, BOTS[0] | {"name": "late", "start": "6 min"}]})
    cut = around_peak(stage, reach_s=60)
    assert cut.seconds == 30 + 61  # most visits begin in the first minute
    assert cut.visits_per_s.max() == stage.visits_per_s.max()
    assert cut.visits_per_s.sum() < stage.visits_per_s.sum()
    assert [group.name for group in cut.bots()] == ["flood"]
    assert around_peak(stage).seconds == stage.seconds


@pytest.mark.parametrize(("share", "rounded"), [(1.7, 1.0), (0.99, 0.9), (0.0102, 0.01)])
def test_a_share_is_rounded_down_to_one_digit(share, rounded):
    assert round_down(share) == rounded


def test_a_part_has_its_part_of_the_cache_and_of_the_servers_that_are_added():
    limits = {"prescale": {"servers": "40"}, "autoscale": {"most": "60"},
              "cache": {"places": "500", "catalogue": "4000"}}  # fmt: skip
    stage = sale({"limits": limits}, planned="10")
    chosen = ("cache", "prescale", "autoscale")
    part, script = shrink(stage, Script("x", 3.0, False, 10, chosen), 0.2)
    setup = make_stage(part, script, 1)
    assert setup.scaling is not None
    assert (setup.scaling.servers, setup.scaling.prescaled, setup.scaling.most) == (2, 8, 12)
    assert (setup.cache.places, setup.cache.catalogue) == (100, 800)
