"""P(overload) says how often: a thousand sales and fleets, drawn by code that shares nothing."""

import numpy as np
import pytest

from capplan.results.basis import basis
from tests.estimate.builders import demand_of
from tests.estimate.test_full_plan import changed, lognormal, simulated_peaks

TRUTHS = 1000

# one process draws the truths for all
pytestmark = pytest.mark.xdist_group("calibration")


def lost(high: float, rng: np.random.Generator) -> np.ndarray:
    """A share written as ``0% to high``: most likely none, and below high 19 times in 20."""
    return np.asarray(1 - (1 - high) ** (np.log(rng.random(TRUTHS)) / np.log(0.05)))


@pytest.fixture(scope="module")
def known():
    plan = changed(usual=None, history=())
    return basis(plan, demand_of(plan, 50_000), None)


@pytest.fixture(scope="module")
def truths() -> tuple[np.ndarray, np.ndarray]:
    """The peak of each sale, and what each further server of its fleet carries."""
    rng = np.random.default_rng(11)
    peaks = np.concatenate([simulated_peaks(TRUTHS // 4, rng) for _ in range(4)])
    one = lognormal(350, 420, rng.standard_normal(TRUTHS))
    return peaks, one * (1 - lost(0.1, rng)) * (1 - lost(0.15, rng))


@pytest.mark.parametrize("risk", [0.8, 0.5, 0.2, 0.1, 0.05, 0.02])
def test_of_a_thousand_truths_as_many_overload_as_foretold(known, truths, risk):
    peaks, each = truths
    servers = next(count for count in range(2, 500) if known.overload(count) <= risk)
    foretold = known.overload(servers)
    seen = float((peaks > servers * each).mean())
    # three standard deviations of a share of a thousand
    assert seen == pytest.approx(foretold, abs=3 * np.sqrt(foretold * (1 - foretold) / TRUTHS))


def test_over_all_counts_the_risk_is_neither_too_high_nor_too_low(known, truths):
    peaks, each = truths
    # each truth is asked about a count of its own: then the outcomes are independent
    counts = np.random.default_rng(5).integers(3, 60, TRUTHS)
    foretold = np.array([known.overload(int(count)) for count in range(60)])[counts]
    seen = peaks > counts * each
    error = np.sqrt((foretold * (1 - foretold)).sum())
    assert abs(seen.sum() - foretold.sum()) <= 3 * error
    # outcomes are likelier where more risk was foretold: the Brier score is what it has to be
    brier = ((seen - foretold) ** 2).mean()
    variance = (foretold * (1 - foretold) * (1 - 2 * foretold) ** 2).mean() / TRUTHS
    assert brier == pytest.approx((foretold * (1 - foretold)).mean(), abs=3 * np.sqrt(variance))


def test_a_lost_zone_is_foretold_as_well(known, truths):
    peaks, each = truths
    servers = 48
    left = servers - 16
    seen = float((peaks > left * each).mean())
    foretold = known.zone_loss(servers)
    assert seen == pytest.approx(foretold, abs=3 * np.sqrt(foretold * (1 - foretold) / TRUTHS))
