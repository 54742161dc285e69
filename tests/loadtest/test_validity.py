"""How much a trial may be off, and what is done about one that is worthless."""

import pytest

from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.remedy import MOST_IN_A_ROW, SPARE_CORES, Standing, can_grow, missing
from capplan.loadtest.validity import SHARED_CORES_DOUBT, Held, Usage, doubt, judge, mean_doubt
from capplan.results.base import Note
from capplan.results.capacity import Health, Trial
from tests.loadtest.harness import SLA, recording

BUSY, FREE = Usage(4, 0.0), Usage(4, 2.0)


def trial(*codes: str, rate: float = 100.0, usage: Usage = FREE, duration_s: float = 10.0) -> Trial:
    made = evaluate(
        recording([0.1] * int(rate * duration_s), duration_s=duration_s, generator_cpu=0.5),
        "refine",
        0.0,
        SLA,
        {},
        usage,
    )
    notes = tuple(Note(code=code, message="") for code in codes)
    return made.model_copy(update={"outcome": "invalid" if codes else "pass", "notes": notes})


def health(**facts: object) -> Health:
    return trial().health.model_copy(update=facts)


# whom to blame


@pytest.mark.parametrize(
    ("held", "ended_early", "outcome"),
    [
        (Held(True, True, True), False, "pass"),
        (Held(False, False, False), False, "fail"),
        (Held(False, False, True), False, "fail"),
        # the target held it, so what missed it was the generator
        (Held(False, True, True), False, "invalid"),
        # a trial that was ended early is far over the limit, with many arrivals still on their way
        (Held(False, True, True), True, "fail"),
        (Held(True, True, True), True, "fail"),
    ],
)
def test_a_failure_counts_when_it_does_not_depend_on_when_arrivals_left(held, ended_early, outcome):
    assert judge(held, health(), (), ended_early)[0] == outcome


@pytest.mark.parametrize("ended_early", [False, True])
@pytest.mark.parametrize(
    ("intended", "served", "facts", "outcome"),
    [
        (False, True, {}, "invalid"),
        # overload: those that a user served were slow as well
        (False, False, {}, "fail"),
        (False, True, {"failed_starts": 0}, "fail"),
        (False, True, {"failed_starts": 0, "unasked": 7}, "invalid"),
        (False, False, {"unasked": 7}, "fail"),
        (True, True, {"unasked": 1}, None),
        # nobody waited for those that are missing
        (False, True, {"starved": 0}, "fail"),
    ],
)
def test_what_the_script_did_not_send_is_no_fault_of_the_target(
    intended, served, facts, outcome, ended_early
):
    found = health(**{"failed_starts": 9, "starved": 50} | facts)
    held = Held(intended, False, False, served=served)
    passed = "fail" if ended_early else "pass"
    assert judge(held, found, (), ended_early)[0] == (outcome or passed)


def test_a_process_that_died_is_the_only_reason_that_is_given_for_lost_arrivals():
    found = health(tickets_issued=500, tickets_due=1000)
    outcome, notes = judge(Held(True, True, True), found, ("it was killed\n  last words",), False)
    assert outcome == "invalid"
    assert [(note.code, note.message) for note in notes] == [("worker_died", "it was killed")]


@pytest.mark.parametrize(("unsent", "outcome"), [(0, "fail"), (5, "fail"), (60, "invalid")])
def test_an_early_end_may_leave_a_few_arrivals_unsent(unsent, outcome):
    found = health(tickets_issued=1000 - unsent, tickets_due=1000)
    assert judge(Held(False, False, False), found, (), ended_early=True)[0] == outcome


# how wide


@pytest.mark.parametrize(
    ("facts", "same_machine", "share"),
    [
        ({}, False, 0.0),
        ({"steal": 0.05}, False, 0.0),
        ({"steal": 0.08}, False, 0.08),
        # beside the target it matters only when nobody had a core to spare: 5 % of 4 cores is 0.2
        ({"idle_cores": 0.21}, True, 0.0),
        ({"idle_cores": 0.19}, True, SHARED_CORES_DOUBT),
        ({"idle_cores": 0.19}, False, 0.0),
        ({"idle_cores": 0.0, "steal": 0.2}, True, 0.2),
        ({"idle_cores": None}, True, 0.0),
    ],
)
def test_stolen_time_and_shared_cores_widen_the_interval(facts, same_machine, share):
    assert doubt(health(**facts), same_machine=same_machine) == share


def test_the_doubt_of_a_measurement_is_that_of_its_valid_trials_by_their_length():
    quiet = trial(duration_s=30.0)
    stolen = trial(usage=Usage(4, 2.0, steal=0.2), duration_s=10.0)
    worthless = trial("generator_busy", usage=Usage(4, 2.0, steal=0.9))
    assert mean_doubt([quiet, stolen, worthless], same_machine=False) == pytest.approx(0.05)
    assert mean_doubt([worthless], same_machine=False) == 0.0


# what to do


@pytest.mark.parametrize(
    ("processes", "idle_cores", "grows"),
    [
        (1, 2.0, True),
        (3, SPARE_CORES, True),
        (4, 2.0, False),
        (1, SPARE_CORES - 0.01, False),
        (1, None, False),
    ],
)
def test_a_process_is_added_where_a_core_is_free_for_it(processes, idle_cores, grows):
    assert can_grow(health(processes=processes, idle_cores=idle_cores)) is grows


@pytest.mark.parametrize(
    ("codes", "usage", "proven", "before", "remedy"),
    [
        ((), FREE, 0.0, 0, "none"),
        (("generator_busy",), FREE, 0.0, 0, "add_process"),
        (("late_arrivals",), FREE, 0.0, 0, "add_process"),
        (("arrivals_lost",), FREE, 0.0, 0, "add_process"),
        (("lateness_decides",), FREE, 0.0, 0, "add_process"),
        (("generator_busy",), BUSY, 0.0, 0, "lower"),
        # late once may be bad luck, late twice is not
        (("late_arrivals",), BUSY, 0.0, 0, "repeat"),
        (("late_arrivals",), BUSY, 0.0, 1, "lower"),
        (("late_arrivals", "generator_busy"), BUSY, 0.0, 0, "lower"),
        # it has held the same load before
        (("generator_busy",), BUSY, 100.0, 3, "repeat"),
        (("generator_busy",), BUSY, 95.0, 3, "lower"),
        (("worker_died",), FREE, 0.0, 0, "repeat"),
        (("worker_died", "late_arrivals"), FREE, 0.0, 0, "repeat"),
        (("pool_too_small",), FREE, 0.0, 0, "grow_pool"),
        (("pool_limit",), FREE, 0.0, 0, "lower"),
        (("users_missing",), FREE, 0.0, 0, "lower"),
        (("users_missing",), FREE, 100.0, 0, "repeat"),
        (("script_raised",), BUSY, 0.0, 3, "repeat"),
        (("no_requests",), BUSY, 0.0, 3, "repeat"),
    ],
)
def test_every_fault_has_its_remedy(codes, usage, proven, before, remedy):
    found, _ = Standing(in_a_row=before).after(trial(*codes, usage=usage), proven)
    assert found == remedy


def test_a_lower_ceiling_follows_from_the_load_that_could_not_be_held():
    limit = trial("generator_busy", rate=1000.0, usage=BUSY)
    _, once = Standing().after(limit, 0.0)
    _, twice = once.after(trial("generator_busy", rate=700.0, usage=BUSY), 0.0)
    assert (once.ceiling, twice.ceiling) == pytest.approx((700.0, 490.0))
    assert once.limit == limit
    assert once.leaves_room_above([500.0, 660.0])
    assert not once.leaves_room_above([670.0])


def test_a_valid_trial_ends_a_row_of_worthless_ones():
    standing = Standing(in_a_row=MOST_IN_A_ROW - 1)
    _, once_more = standing.after(trial("worker_died"), 0.0)
    _, fine = standing.after(trial(), 0.0)
    assert (once_more.given_up, fine.in_a_row) == (True, 0)


@pytest.mark.parametrize(
    ("cpus", "needs"), [((0.9, 0.85), "about 3 cores"), ((1.0, 0.99), "more than 2 cores")]
)
def test_what_is_missing_follows_from_what_was_used(cpus, needs):
    used = health(processes=2, cores=2, generator_cpus=cpus, generator_cpu=max(cpus))
    limit = trial("generator_busy").model_copy(update={"health": used, "rate_rps": 1280.0})
    note = missing(limit)
    assert "1,280 rps" in note.message
    assert needs in note.advice
