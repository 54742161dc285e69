"""Gusts against windows that are drawn one by one."""

import numpy as np
import pytest

from capplan.estimate.gusts import AWAY_IN_WINDOWS, COUNTS, gusty
from tests.estimate.builders import CERTAIN, demand_of, log_width, plan

LUCK = (np.arange(4000) + 0.5) / 4000


def highest(rates: np.ndarray, spread: float, sales: int) -> np.ndarray:
    """The highest of ``rates``, each times its own gust, in so many sales."""
    rng = np.random.default_rng(8)
    sigma = np.sqrt(np.log1p(spread**2))
    gusts = np.exp(sigma * rng.standard_normal((sales, len(rates))) - sigma**2 / 2)
    return np.asarray((rates * gusts).max(axis=1))


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("decay_windows", [3.0, 30.0, 200.0])
def test_the_peak_is_the_highest_window_with_its_gust(decay_windows, spread):
    away = np.arange(-767, 768)
    drawn = highest(100 * np.exp(-np.abs(away) / decay_windows), spread, 3000)
    rates = np.tile(100 * np.exp(-np.abs(AWAY_IN_WINDOWS) / decay_windows), (len(LUCK), 1))
    found = gusty(np.full(len(LUCK), 100.0), rates, np.full(len(LUCK), spread), LUCK)
    for level in (0.05, 0.5, 0.95):
        # 3,000 sales leave a standard error of at most .03·spread in a quantile; that distant
        # windows stand for their neighbours adds up to .05·spread where the rate falls steeply
        assert np.quantile(found, level) == pytest.approx(
            np.quantile(drawn, level), rel=0.003 + 0.15 * spread
        )


def test_the_windows_that_stand_for_others_cover_all_of_them_once():
    assert len(AWAY_IN_WINDOWS) == len(COUNTS)
    assert COUNTS.sum() == 1 + 2 * 767.5  # each side: 1 + 1 + 3 + 6 + … + 384, and the one itself


def test_without_gusts_the_peak_stays_what_it_is():
    assert gusty(np.array([5.0]), np.ones((1, 21)), np.zeros(1), np.array([0.9])).tolist() == [5.0]


def test_gusts_raise_and_widen_the_peak_and_nothing_else():
    # an even audience of 40 requests/s for two hours: 720 windows of 10 s
    calm, gusty_one = (demand_of(plan(CERTAIN, gusts=gusts), 4000) for gusts in ("0%", "10%"))
    assert calm.peak_rps.p50 == pytest.approx(40)
    # each window takes part only up to 767 windows on either side of the first highest one
    expected = np.quantile(highest(np.full(720, 40.0), 0.1, 2000), [0.05, 0.5, 0.95])
    found = gusty_one.peak_rps
    assert [found.p5, found.p50, found.p95] == pytest.approx(expected, rel=0.01)
    assert log_width(calm.peak_rps) == pytest.approx(0)
    assert gusty_one.visits_total == calm.visits_total
    assert gusty_one.profile == calm.profile
