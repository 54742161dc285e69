"""Single parts of the kernel: random numbers against published ones, timers in exact order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capplan.model.service_time import Exponential
from capplan.simulate.kernel import rng
from capplan.simulate.kernel.calls import NONE, take
from capplan.simulate.kernel.setup import Kind, Setup, build
from capplan.simulate.kernel.timers import due_by, remove_timer, set_timer
from capplan.simulate.kernel.world import World


@pytest.fixture(autouse=True)
def _wrapping():
    """Whole numbers wrap around, as in machine code."""
    with np.errstate(over="ignore"):
        yield


def world(**kind: float) -> World:
    made = Kind("request", Exponential(1.0), **kind)  # type: ignore[arg-type]
    return build(Setup([made], np.zeros(100)))


def test_the_generator_is_xoshiro256plusplus():
    """The first outputs from the state 1, 2, 3, 4, as the authors' C code gives them."""
    outputs = (
        41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205,
        9973669472204895162, 14011001112246962877, 12406186145184390807,
    )  # fmt: skip
    w = world()
    w.tables["random"][rng.PATH] = (1, 2, 3, 4)
    for output in outputs:
        assert rng.uniform(w.record, rng.PATH) == (output >> 11) * 2.0**-53


def test_streams_differ_by_name_and_by_seed():
    rows = [tuple(row) for seed in (1, 2) for row in rng.states(seed)]
    assert len(set(rows)) == 2 * len(rng.STREAMS)


@pytest.mark.parametrize(
    ("draw", "mean", "variance"), [(rng.exponential, 1.0, 1.0), (rng.normal, 0.0, 1.0)]
)
def test_draws_have_their_mean_and_variance(draw, mean, variance):
    w = world()
    drawn = np.array([draw(w.record, rng.SERVICE) for _ in range(40_000)])
    # standard errors: 0.005 of the mean; of the variance 0.007 (normal) and 0.014 (exponential)
    assert drawn.mean() == pytest.approx(mean, abs=0.02)
    assert drawn.var() == pytest.approx(variance, abs=0.06)


@settings(max_examples=100, deadline=None)
@given(
    delays_s=st.lists(st.floats(0, 30), min_size=1, max_size=60),
    removed=st.sets(st.integers(0, 59)),
    step_s=st.floats(0.001, 3),
    patience_s=st.sampled_from([0.5, 1.0, 10.0]),
)
def test_timers_fire_once_in_order_and_never_early(delays_s, removed, step_s, patience_s):
    w = world(patience_s=patience_s)
    calls = [take(w.record) for _ in delays_s]
    for call, delay_s in zip(calls, delays_s, strict=True):
        set_timer(w.record, call, delay_s)
    for place in removed & set(range(len(calls))):
        remove_timer(w.record, calls[place])
    left = {c: d for p, (c, d) in enumerate(zip(calls, delays_s, strict=True)) if p not in removed}
    fired: list[float] = []
    now_s = 0.0
    while left:
        assert now_s < 40
        call = due_by(w.record, now_s)
        if call == NONE:
            assert all(delay_s > now_s for delay_s in left.values())
            now_s += step_s
            continue
        remove_timer(w.record, call)
        fired.append(left.pop(call))
        assert fired[-1] <= now_s
    assert fired == sorted(fired)
    assert int(w.record["timers"]) == 0
