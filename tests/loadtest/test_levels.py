"""A limit on the CPU or memory of the target binds like the SLA: what trials say about it."""

from typing import Any

import numpy as np
import pytest

from benchmarks.search import trial
from benchmarks.servers import SERVERS, Bench
from capplan.loadtest.binding import what_binds
from capplan.loadtest.observed import observation
from capplan.loadtest.resources import with_use
from capplan.loadtest.search.levels import Level, LevelAt, above, median
from capplan.loadtest.search.observation import Misses, Observation
from capplan.loadtest.search.policy import Next, Settings, Stop, decide
from capplan.results.capacity import Trial
from capplan.results.resources import ResourceUse

LIMIT = 0.6


def at(load: float, measured: float | None, stderr: float = 0.01, **more: Any) -> LevelAt:
    return LevelAt(load, Level(LIMIT, measured, stderr), more.get("at_least", False))


def line(idle: float, per_load: float, *loads: float) -> list[LevelAt]:
    """What a target says that uses so much at rest and so much more for each arrival/s."""
    return [at(load, min(1.0, idle + per_load * load)) for load in loads]


# what trials say


@pytest.mark.parametrize(("idle", "truth"), [(0.0, 120.0), (0.1, 100.0), (0.35, 50.0)])
def test_the_limit_is_reached_where_the_line_through_the_trials_meets_it(idle, truth):
    assert median(line(idle, 0.005, 20.0, 40.0, truth, 1.05 * truth)) == pytest.approx(
        truth, rel=0.01
    )


def test_the_interval_contains_the_truth_as_often_as_it_says():
    rng, idle, per_load = np.random.default_rng(1), 0.2, 0.004
    truth, covered, widths = (LIMIT - idle) / per_load, 0, []
    grid = np.geomspace(truth / 3, truth * 3, 400)
    for _ in range(200):
        seen = []
        for load in (20.0, 40.0, 80.0, 160.0, 105.0, 102.0, 105.0, 100.0):
            level = (idle + per_load * load) * (1 + 0.03 * rng.normal())
            seen.append(at(load, min(1.0, level + 0.01 * rng.normal())))
        low, high = np.interp([0.025, 0.975], 1 - above(grid, seen), grid)
        covered += int(low <= truth <= high)
        widths.append((high - low) / truth)
    # 200 draws at 0.95: standard error 0.015
    assert covered / 200 >= 0.92
    assert np.median(widths) < 0.15


def test_what_was_never_seen_limits_nothing():
    nothing = [at(50.0, None), at(100.0, None)]
    assert above(np.array([1.0, 100.0, 1e6]), nothing).tolist() == [1.0, 1.0, 1.0]
    assert median(nothing) == np.inf


def test_a_level_that_is_used_up_says_only_that_the_limit_is_below():
    seen = line(0.0, 0.005, 20.0, 40.0, 80.0)
    # 400/s would be 2.0 on the line, and 1.0 is all there is
    assert median([*seen, at(400.0, 1.0)]) == pytest.approx(median(seen), rel=0.03)


def test_a_trial_that_ended_early_is_a_lower_bound_of_its_level():
    seen = line(0.0, 0.005, 20.0, 40.0, 80.0, 110.0)
    low = median([*seen, at(115.0, 0.1, at_least=True)])
    assert low == pytest.approx(median(seen), rel=0.02)
    # but one that was over the limit by then is above it
    assert median([*line(0.0, 0.005, 20.0), at(60.0, 0.7, at_least=True)]) < 60.0


def test_a_limit_far_above_the_loads_leaves_the_answer_to_the_sla():
    grid = np.geomspace(50.0, 200.0, 100)
    assert above(grid, line(0.0, 0.0005, 50.0, 100.0, 105.0)).min() > 0.99


def test_a_short_probe_fails_by_a_level_only_when_it_is_clearly_over():
    def probe(measured: float) -> Observation:
        miss = Misses(0.05, 0.0, 100, 0.0, 0.1)
        level = Level(LIMIT, measured, 0.05)
        return Observation(80.0, 80.0, 0.7, "probe", False, False, (miss,), levels=(level,))

    assert not probe(0.65).failed
    assert probe(0.75).failed


# a trial is judged by it


def judged(used: float | None, outcome: str = "pass", **limits: float) -> Trial:
    held = trial(Bench(SERVERS[0], np.random.default_rng(1)), Next(20.0, 4.0, "refine"))
    held = held.model_copy(update={"outcome": outcome})
    use = None if used is None else ResourceUse(cpu=used, cpu_stderr=0.02, memory=0.3, samples=9)
    return with_use(held, use, limits, ())


def test_a_trial_fails_by_more_cpu_than_the_plan_allows_and_an_invalid_one_stays_invalid():
    assert judged(0.86, cpu=0.85).outcome == "fail"
    assert judged(0.84, cpu=0.85).outcome == "pass"
    assert judged(0.84, cpu=0.85, memory=0.2).outcome == "fail"
    assert judged(0.86, "invalid", cpu=0.85).outcome == "invalid"
    criterion = judged(0.86, cpu=0.85).criteria[-1]
    assert (criterion.name, criterion.limit, criterion.measured) == ("cpu", 0.85, 0.86)
    assert criterion.variance == pytest.approx(0.02**2)
    assert criterion.of_target
    assert judged(0.86).criteria == judged(None).criteria


def test_a_trial_whose_cpu_was_not_seen_is_judged_without_it_with_a_note():
    unseen = judged(None, cpu=0.85)
    assert unseen.outcome == "pass"
    assert [note.code for note in unseen.notes] == ["limit_not_checked"]
    assert unseen.criteria[-1].measured is None
    (level,) = observation(unseen).levels
    assert level.measured is None


# whole searches: the server of the first benchmark sustains 178/s, at a CPU of 93 %


def search(seed: int, limit: float) -> tuple[Stop, list[Trial]]:
    server = SERVERS[0]
    bench, rng = Bench(server, np.random.default_rng(seed)), np.random.default_rng(seed + 1000)
    full = server.truth_rps / 0.93
    trials: list[Trial] = []
    while True:
        seen = [observation(t) for t in trials]
        step = decide(seen, Settings(120.0, 20.0), bench.spent_s)
        if isinstance(step, Stop):
            return step, trials
        held = trial(bench, step)
        held = held.model_copy(update={"rate_rps": held.arrivals_per_s})
        cpu = min(1.0, held.achieved_rps / full * (1 + 0.02 * rng.normal()))
        use = ResourceUse(cpu=cpu, cpu_stderr=0.015, samples=9)
        trials.append(with_use(held, use, {"cpu": limit}, ()))


def ends(stop: Stop) -> tuple[float, float]:
    low, high = stop.bounds.low, stop.bounds.high
    assert low is not None
    assert high is not None
    return low, high


@pytest.mark.parametrize("seed", [1, 2])
def test_a_search_ends_where_the_cpu_reaches_its_limit_and_names_it(seed):
    stop, trials = search(seed, limit=0.6)
    truth = 0.6 / 0.93 * SERVERS[0].truth_rps
    assert stop.verdict == "measured"
    low, high = ends(stop)
    assert low <= truth <= high
    assert stop.bounds.mid == pytest.approx(truth, rel=0.03)
    binding = what_binds(trials, stop.bounds.mid, [observation(t) for t in trials])
    assert binding is not None
    assert (binding.name, binding.limit) == ("cpu", 0.6)
    assert binding.exceedance == pytest.approx(0.6, rel=0.1)


def test_a_limit_that_is_not_reached_leaves_the_answer_to_the_sla():
    stop, trials = search(2, limit=1.0)
    low, high = ends(stop)
    assert low <= SERVERS[0].truth_rps <= high
    binding = what_binds(trials, stop.bounds.mid, [observation(t) for t in trials])
    assert binding is not None
    assert binding.name == "p95"


def test_where_no_load_keeps_the_limit_the_lowest_trial_says_what_binds():
    busy = judged(0.9, cpu=0.85).model_copy(update={"rate_rps": 1.0})
    binding = what_binds([busy], None, [observation(busy)])
    assert binding is not None
    assert (binding.name, binding.from_rps) == ("cpu", 1.0)
    assert binding.exceedance == pytest.approx(0.9)
