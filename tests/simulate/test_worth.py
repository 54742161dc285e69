"""The ranking: what each protection is worth, against runs that are made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from capplan.errors import UsageError
from capplan.plan.saleday import PROTECTIONS
from capplan.results.simulation import Ranking
from capplan.simulate.acts import ATTACK, Script, stage
from capplan.simulate.guards import possible
from capplan.simulate.kernel.setup import simulate_until
from capplan.simulate.progress import Progress
from capplan.simulate.scaled import shrink
from capplan.simulate.together import Workers, one_by_one, perform
from capplan.simulate.worth import comparison, rank, simulated
from capplan.workflow.threads import side_by_side
from tests.simulate.builders import visits
from tests.simulate.test_play import sale

CHOSEN = ("waf", "concurrency-limit", "queue-bound")
BOTS = [{"name": "flood", "rate": "700 rps", "sources": "20", "start": "30 s", "duration": "60 s"}]
STAGE = sale({"surprise": "2.5", "bots": BOTS, "limits": {"waf": {"lag": "20 s"}}})
SEED = 7


def paid(protections: tuple[str, ...], seed: int, scale: float) -> float:
    script = Script(ATTACK, STAGE.plan.saleday.surprise, True, STAGE.planned, protections)
    part, smaller = shrink(STAGE, script, scale)
    world = simulate_until(stage(part, smaller, seed), float(STAGE.seconds))
    return round(visits(world, "paid") / part.share)


def ranked(workers: Workers = one_by_one, **options: bool) -> Ranking:
    planned = comparison(STAGE, CHOSEN, **options)
    return rank(planned, CHOSEN, simulated(planned, SEED, workers))


@pytest.fixture(scope="module")
def ranking():
    return ranked()


def test_every_protection_is_ranked_alone_and_those_of_the_plan_when_missing(ranking):
    # no connection answers in order here, so that there is nothing to multiplex
    assert {one.protection for one in ranking.protections} == set(PROTECTIONS) - {"multiplex"}
    missing = {one.protection for one in ranking.protections if one.missing is not None}
    assert missing == set(CHOSEN)
    alone = [one.alone.paid for one in ranking.protections]
    assert alone == sorted(alone, reverse=True)


def test_a_worth_is_the_mean_of_paired_differences_with_its_t_interval(ranking):
    seeds = range(SEED, SEED + ranking.replications)
    by_hand = [
        paid(("queue-bound",), seed, ranking.scale) - paid((), seed, ranking.scale)
        for seed in seeds
    ]
    found = next(one for one in ranking.protections if one.protection == "queue-bound").alone
    assert found.paid == pytest.approx(np.mean(by_hand))
    low, high = stats.t.interval(
        0.95, len(by_hand) - 1, np.mean(by_hand), np.std(by_hand, ddof=1) / len(by_hand) ** 0.5
    )
    assert (found.paid - found.error, found.paid + found.error) == pytest.approx((low, high))
    assert found.paid > 2 * found.error > 0


def test_what_is_missing_is_compared_with_the_whole_set(ranking):
    seeds = range(SEED, SEED + ranking.replications)
    by_hand = [
        paid(CHOSEN, seed, ranking.scale) - paid(CHOSEN[1:], seed, ranking.scale) for seed in seeds
    ]
    found = next(one for one in ranking.protections if one.protection == "waf").missing
    assert found.paid == pytest.approx(np.mean(by_hand))


def test_the_runs_show_the_collapse_and_what_holds(ranking):
    by_set = {run.protections: run for run in ranking.runs}
    possible = len(PROTECTIONS) - 1  # all but multiplexing
    added = possible - len(CHOSEN)  # the whole set and one more
    assert len(by_set) == len(ranking.runs) == 2 + possible + len(CHOSEN) + added
    assert {run.replications for run in ranking.runs} == {1, ranking.replications}
    bare, full = by_set[()], by_set[CHOSEN]
    assert bare.outcome != "held"
    assert full.paid > bare.paid
    assert len(bare.good) == len(bare.offered) == -(-STAGE.seconds // bare.step_s)
    assert max(len(run.good) for run in ranking.runs) <= 120


def test_every_combination_can_be_asked_for_and_changes_nothing_of_the_ranking(ranking):
    found = ranked(combinations=True)
    assert found.protections == ranking.protections
    sets = {run.protections for run in found.runs if set(run.protections) <= set(CHOSEN)}
    assert len(sets) == 2 ** len(CHOSEN)
    with pytest.raises(UsageError, match=f"{len(PROTECTIONS) - 1} protections have"):
        comparison(STAGE, PROTECTIONS, combinations=True)


def test_threads_change_nothing_but_the_time(ranking):
    assert ranked(side_by_side) == ranking


def test_the_progress_of_a_ranking_rises_to_its_end(ranking):
    shown: list[Progress] = []
    planned = comparison(STAGE, CHOSEN)
    assert rank(planned, CHOSEN, simulated(planned, SEED), shown.append) == ranking
    done = [one.done for one in shown]
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_what_is_too_large_is_ranked_on_a_part_and_what_is_hopeless_not_at_all():
    small, large = (comparison(sale({"surprise": times}), CHOSEN) for times in ("0.5", "400"))
    assert (small.scale, small.affordable) == (1.0, True)
    assert small.replications >= 3
    assert large.scale < 1
    assert large.replications == 3
    hopeless = replace(large, attempts=1e9)
    assert not hopeless.affordable
    assert [note.code for note in hopeless.notes] == ["no_ranking"]
    assert "takes about 8 min 20 s even on the smallest part" in hopeless.notes[0].message
    assert small.notes == ()


def test_what_is_left_out_of_a_ranking_changes_nothing():
    """No connections, nothing cacheable, one priority, one attempt: the very same act."""
    plain = sale({"attempts": "1", "surprise": "3", "classes": [
        {"name": "browse", "per_visit": "9"}, {"name": "pay", "per_visit": "0.5"},
    ]})  # fmt: skip
    idle = {"multiplex", "cache", "priorities", "retry-budget"}
    assert set(PROTECTIONS) - set(possible(plain)) == idle
    for base in ((), ("queue-bound",)):
        bare = perform(plain, Script(ATTACK, 3.0, True, 5, base), 1)
        assert bare.outcome != "held" or base  # protections would have something to do
        for name in sorted(idle):
            more = perform(plain, Script(ATTACK, 3.0, True, 5, (*base, name)), 1)
            assert more == bare.model_copy(update={"protections": (*base, name)})
    # also when it is chosen: the set is the one without it
    some, same = (comparison(plain, one) for one in (("queue-bound",), ("cache", "queue-bound")))
    assert (some.sets, some.further) == (same.sets, same.further)
    assert set(possible(sale())) >= {"cache", "priorities", "retry-budget"}
