from typing import Any

import numpy as np
import pytest
from scipy.stats import sobol_indices as of_scipy

from capplan.model.sobol import Sample, sobol_indices


class Unit:
    """The uniform distribution on the unit interval, as far as scipy asks for it."""

    def ppf(self, q: Any) -> Any:
        return q


def ishigami(sample: Sample) -> np.ndarray:
    x, y, z = (2 * np.pi * sample[name] - np.pi for name in "xyz")
    return np.asarray(np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x))


def indices(model, inputs, power=13, seed=1):
    return sobol_indices(model, inputs, power, np.random.default_rng(seed))


def test_the_indices_of_the_ishigami_function_are_its_closed_forms():
    # a = 7, b = .1 (Ishigami & Homma 1990); Jansen's estimators reach .015 with 8,192 points
    found = indices(ishigami, {name: [name] for name in "xyz"})
    assert [found[n].first for n in "xyz"] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.015)
    assert [found[n].total for n in "xyz"] == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.015)


def test_they_agree_with_those_of_scipy():
    found = indices(ishigami, {name: [name] for name in "xyz"})
    theirs = of_scipy(
        func=lambda p: ishigami(dict(zip("xyz", p, strict=True))),
        n=8192,
        dists=[Unit()] * 3,
        rng=np.random.default_rng(2),
    )
    assert [found[n].first for n in "xyz"] == pytest.approx(theirs.first_order, abs=0.02)
    assert [found[n].total for n in "xyz"] == pytest.approx(theirs.total_order, abs=0.02)


def test_several_variables_may_be_one_input():
    found = indices(ishigami, {"xz": ["x", "z"], "y": ["y"]})
    # what x and z explain together is all but what y does; y acts alone
    assert found["xz"].first == pytest.approx(1 - 0.4424, abs=0.01)
    assert found["xz"].total == pytest.approx(found["xz"].first, abs=0.015)


def test_what_does_not_vary_has_no_indices():
    assert indices(lambda sample: 0 * sample["x"] + 3, {"x": ["x"]}, power=6) == {}
    assert indices(lambda sample: np.zeros(64), {}, power=6) == {}


def test_a_pure_product_shows_only_in_the_totals():
    found = indices(
        lambda sample: (sample["x"] - 0.5) * (sample["y"] - 0.5), {"x": ["x"], "y": ["y"]}
    )
    for entry in found.values():
        assert entry.first == pytest.approx(0, abs=0.02)
        assert entry.total == pytest.approx(1, abs=0.02)
