"""From plan, demand and capacity to acts."""

from typing import Any

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.model.fitted import fit
from capplan.model.queueing import mmc_sustained_rps
from capplan.model.service_time import Exponential
from capplan.plan.saleday import PROTECTIONS, Saleday
from capplan.results.demand import Profile
from capplan.results.simulation import Act, Simulation
from capplan.simulate.acts import Script, scripts, shedding
from capplan.simulate.kernel.setup import Fleet
from capplan.simulate.laws import disagreements, laws
from capplan.simulate.play import play, simulation
from capplan.simulate.scene import Scene, scene
from capplan.simulate.shoppers import (
    Step,
    paying_share,
    requests_per_visit,
    steps,
    visits_per_s,
    walk,
)
from tests.recommend import builders
from tests.simulate.builders import measure, one_class, total

PEAK_RPS = 300.0
T_S = tuple(float(t) for t in range(0, 421, 5))
RISE = tuple(PEAK_RPS * min(t / 60, 1.0, max(420 - t, 0) / 300) for t in T_S)


def sale(saleday: dict[str, Any] | None = None, **servers: str) -> Scene:
    """Seven minutes with a peak of 300 rps, on five servers that sustain 100 rps each."""
    day = {"attempts": "3", "timeout": "3 s", "surprise": "5", "classes": [
        {"name": "browse", "per_visit": "9", "priority": "2", "cacheable": "50%"},
        {"name": "cart", "per_visit": "0.5", "priority": "1"},
        {"name": "pay", "per_visit": "0.25", "priority": "0"},
    ]}  # fmt: skip
    plan = builders.plan(
        {"planned": "5", "capacity": "100 rps", "boot": "60 s", **servers},
        {"value_per_visit": "$2"},
        visit={"requests": "9.75", "duration": "60 s"},
        saleday=day | (saleday or {}),
    )
    demand = builders.demand(
        PEAK_RPS, requests_per_visit=builders.spread(9.75),
        profile=Profile(t_s=T_S, rps_p5=RISE, rps_p50=RISE, rps_p95=RISE),
    )  # fmt: skip
    return scene(plan, demand, None)


def acts(stage: Scene, *protections: str, second: int = 30, seed: int = 1) -> dict[str, Act]:
    """The acts by their names; those with protections have a star."""
    played = play(stage, list(scripts(stage, protections, second)), seed)
    return {act.name + "*" * bool(act.protections): act for act in played}


def test_a_fitted_server_sustains_what_was_measured_and_is_as_quick_when_idle():
    server = fit(283.0, 0.0056, [(0.95, 0.3)])
    assert mmc_sustained_rps(server.slots, server.service_s, 0.95, 0.3) == pytest.approx(283)
    assert server.service_s == pytest.approx(0.0056, rel=0.35)  # slots are whole
    many = fit(4000.0, 0.05, [(0.99, 0.4)])
    assert many.slots == pytest.approx(4000 * 0.05, rel=0.1)


def test_the_kernel_misses_the_sla_of_a_fitted_server_just_above_its_sustained_rate():
    server = fit(100.0, 0.03, [(0.95, 0.3)])
    for factor, below in ((0.95, True), (1.04, False)):
        setup = one_class(
            100 * factor, 400, Exponential(server.service_s), Fleet(slots=server.slots),
            patience_s=0.3,
        )  # fmt: skip
        late = measure(setup, lambda w: total(w, "timed_out") / total(w, "offered"), warm_s=50.0)
        assert (late.mean + 2 * late.error < 0.05) if below else (late.mean > 0.05)


def test_a_visit_makes_as_many_requests_as_the_plan_says():
    """E[visits to the classes] = begin·(I - P)^-1 of an absorbing Markov chain."""
    classes = [Step("browse", 9.0), Step("search", 0.4), Step("cart", 1.5), Step("pay", 0.2)]
    chances = walk(classes)
    expected = chances[-1] @ np.linalg.inv(np.eye(4) - chances[:-1])
    # cart cannot be reached by more visits than search, so it is repeated
    assert expected == pytest.approx([9.0, 0.4, 1.5, 0.2])
    assert requests_per_visit(classes) == pytest.approx(expected.sum())
    assert paying_share(classes) == pytest.approx(0.2)
    assert (chances.sum(axis=1) <= 1 + 1e-12).all()


def test_the_classes_come_from_the_mix_of_the_load_test():
    mix = {"GET /": 0.5, "GET /search": 0.2, "POST /cart": 0.1, "GET /checkout": 0.05,
           "POST /checkout": 0.05, "(not started)": 0.1}  # fmt: skip
    plan = builders.plan()
    found = steps(plan, builders.capacity(mix=mix), 36.0)
    assert [step.name for step in found] == ["browse", "search", "cart", "order", "pay"]
    # of what is an endpoint, 0.9
    assert [step.per_visit for step in found] == pytest.approx([20, 8, 4, 2, 2])
    assert [step.priority for step in found] == [2, 2, 1, 0, 0]

    told = {"GET /search": "critical", "POST /cart": "low", "POST /basket": "normal"}
    endpoints = {name: {"priority": level} for name, level in told.items()}
    plan = builders.plan(service={"endpoints": endpoints})
    found = steps(plan, builders.capacity(mix=mix), 36.0)
    assert [step.priority for step in found] == [2, 0, 1, 0, 0]


def test_visits_begin_so_that_the_requests_follow_the_profile():
    profile = Profile(t_s=T_S, rps_p5=RISE, rps_p50=RISE, rps_p95=RISE)
    begun = visits_per_s(profile, RISE, 10.0, 6.0)
    requests = np.interp(np.arange(420) + 0.5, T_S, RISE).sum()
    assert begun.sum() * 10 == pytest.approx(requests)
    # while it rises by 5 rps each second, six seconds of thinking have to be filled: 45 against 30
    assert begun[:60].mean() / begun[60:120].mean() == pytest.approx(1.5, rel=0.02)


def test_as_planned_the_peak_is_that_of_the_demand_and_all_goes_well():
    act = acts(sale())["as planned"]
    smooth = np.convolve(act.series.offered, np.ones(20) / 20, "valid")
    # 20 s of 300 rps: 1.3 % standard deviation, and as much again from the think times
    assert smooth.max() == pytest.approx(PEAK_RPS, rel=0.08)
    assert act.outcome == "held"
    assert act.paid_ratio > 0.9
    assert act.lost_value == 2 * act.abandoned


@pytest.fixture(scope="module")
def played() -> dict[str, Act]:
    bots = [{"name": "flood", "rate": "900 rps", "sources": "20", "start": "30 s"}]
    limits = {"waf": {"lag": "30 s"}}
    stage = sale({"bots": bots, "limits": limits})
    return acts(stage, *stage.plan.saleday.protections)


def test_the_story(played):
    """Ten times more come and the sale is lost; bots come; protections save it; a second sale."""
    assert list(played) == [
        "as planned", "as planned*", "surprise", "surprise*", "surprise + bots",
        "surprise + bots*", "the second sale*",
    ]  # fmt: skip
    assert played["surprise"].outcome != "held"
    assert played["surprise"].paid_ratio < 0.5
    assert played["surprise + bots"].paid_ratio < played["surprise"].paid_ratio
    for name in ("surprise*", "surprise + bots*"):
        assert played[name].outcome == "held"
        assert played[name].paid_ratio > 0.6
    assert played["the second sale*"].paid_ratio > 0.9


def test_protections_do_not_change_who_comes(played):
    assert played["surprise"].visits == played["surprise*"].visits
    assert played["surprise + bots"].visits == played["the second sale*"].visits


def test_the_laws_foretell_the_collapse(played):
    stage = sale()
    found = simulation(stage, list(played.values()), builders.demand(), builders.provenance())
    by_name = {law.name: law for law in found.laws}
    assert by_name["hidden capacity"].value == pytest.approx(stage.capacity_rps(5) / 3)
    assert by_name["answers too late from"].agrees
    assert by_name["in time again from"].agrees
    assert by_name["recovery takes"].agrees
    assert {one.protection for one in found.settings} == set(stage.plan.saleday.protections)
    assert Simulation.model_validate_json(found.model_dump_json(by_alias=True)) == found


def test_a_full_queue_refuses_the_share_that_is_known_in_advance():
    stage = sale({"surprise": "4"})
    (shed,) = play(stage, [shedding(stage)], 1)
    refused = laws(stage, (), shed)[-1]
    assert refused.formula == "p = (1 - μ/λ)^(1/A)"
    assert refused.value is not None
    assert 0.3 < refused.value < 0.8
    # 30 s of about 600 attempts/s: chance moves the share by 0.004, the load by far more
    assert refused.simulated == pytest.approx(refused.value, abs=0.05)
    assert refused.agrees


def test_a_system_that_never_comes_back_is_foretold_to_do_so():
    """Nobody leaves here, and the load stays above the hidden capacity."""
    stage = sale({"attempts": "10", "surprise": "4"})
    bare = next(play(stage, [Script("surprise", 4.0, False, 5, ())], 1))
    forever = bare.model_copy(
        update={
            "recovered_at_s": None,
            "outcome": "never",
            "series": bare.series.model_copy(
                update={"offered": (600.0,) * len(bare.series.offered)}
            ),
        }
    )
    by_name = {law.name: law for law in laws(stage, (forever,))}
    again = by_name["in time again from"]
    assert (again.value, again.simulated, again.agrees) == (None, None, True)
    wrong = forever.model_copy(update={"recovered_at_s": 300.0})
    (note, _) = disagreements(laws(stage, (wrong,)))
    assert "says never, the simulation says 300 s" in note.message
    noted = simulation(stage, [wrong], builders.demand(), builders.provenance()).notes
    assert note in noted
    assert note.code == "law_disagrees"


def test_the_impatient_hang_up_before_the_timeout():
    patient, hasty = (
        next(play(sale(some), [Script("surprise", 4.0, False, 5, ())], 1))
        for some in ({}, {"impatience": "1 s"})
    )
    # of those who would wait for 3 s, all but e^-3 have gone before
    assert hasty.classes["browse"].timed_out > patient.classes["browse"].timed_out


@pytest.mark.parametrize("name", PROTECTIONS)
def test_each_protection_alone_changes_what_happens(name):
    """An option that does nothing would be a defect."""
    in_order = {"connections": "50"} if name == "multiplex" else {}
    stage = sale({"limits": {"waf": {"lag": "10 s"}}} | in_order)
    bare, alone = (acts(stage, *chosen)["surprise + bots" + "*" * bool(chosen)]
                   for chosen in ((), (name,)))  # fmt: skip
    assert alone.protections == (name,)
    assert bare.classes != alone.classes


def test_the_same_seed_gives_the_same_acts_and_another_does_not():
    one, same, other = (acts(sale(), seed=seed)["as planned"] for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ({"bots": [{"name": "x", "rate": "1 rps", "start": "1 h"}]}, "start after the end"),
        ({"bots": [{"name": "pay", "rate": "1 rps"}]}, "the name of a class"),
    ],
)
def test_contradictions_are_named(day, message):
    with pytest.raises(UsageError, match=message):
        acts(sale(day))


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ({"protections": ["moat"]}, "'moat' is not one of waiting-room"),
        ({"classes": [{"name": "a", "per_visit": "1"}] * 2}, "'a' stands twice"),
        ({"classes": [{"name": "a", "per_visit": "1"}],
          "bots": [{"name": "x", "rate": "1 rps", "target": "b"}]}, "aim at 'b'"),
        ({"classes": [{"name": "a", "per_visit": "1", "priority": "10"}]}, "from 0 to 9"),
        ({"backoff": "-1 s"}, "must not be negative"),
    ],
)  # fmt: skip
def test_a_bad_saleday_says_what_is_wrong(day, message):
    with pytest.raises(ValueError, match=message):
        Saleday.model_validate(day)
