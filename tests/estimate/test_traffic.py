"""The closed forms against sums that know nothing of them."""

import numpy as np
import pytest

from capplan.estimate.traffic import FIRST_PAGE_S, Traffic
from capplan.model.arrivals import Curve, Decay, Even, opening, within


def column(*values: float):
    return np.array(values, dtype=float)[:, None]


def traffic(curves: dict[str, Curve], *, visits=1000.0, first=10.0, later=30.0, visit_s=240.0):
    return Traffic(
        dict.fromkeys(curves, column(visits)), curves, column(first), column(later), column(visit_s)
    )


def random_traffic(rng: np.random.Generator, draws: int) -> Traffic:
    """Several channels of any kind, and visits from half a second to an hour."""
    curves: dict[str, Curve] = {}
    for i in range(rng.integers(1, 5)):
        kind, seconds = rng.integers(0, 4), float(np.exp(rng.uniform(0, 10)))
        burst = Decay(np.exp(rng.uniform(2.3, 4.1, (draws, 1))))
        curves[f"channel {i}"] = (within(seconds), Even(seconds), opening(seconds), burst)[kind]

    def positive(low: float, high: float):
        return np.exp(rng.uniform(np.log(low), np.log(high), (draws, 1)))

    return Traffic(
        {name: positive(100, 100_000) for name in curves},
        curves,
        positive(1, 30) if rng.random() < 0.7 else np.zeros((draws, 1)),
        positive(1, 60),
        positive(0.5, 3600),
    )


def by_summing_visits(curve: Curve, t_s: float, window_s: float, visit_s: float) -> float:
    """Requests/s over the window, visit by visit: 100,000 of them at the quantiles of the curve."""
    begun = curve.begun(fine := np.geomspace(1e-4, 1e6, 400_000))
    arrivals = np.interp((np.arange(100_000) + 0.5) / 100_000, begun, fine)

    def sent(until_s: float) -> float:
        age = np.maximum(until_s - arrivals, 0)
        first = 10 * np.minimum(age / FIRST_PAGE_S, 1)
        return float((first + 30 * np.minimum(age / visit_s, 1)).mean()) * 1000

    return (sent(t_s) - sent(t_s - window_s)) / window_s


@pytest.mark.parametrize("t_s", [1.0, 3.0, 12.0, 100.0, 250.0, 3000.0])
@pytest.mark.parametrize("curve", [within(600.0), Even(1800.0), Decay(np.asarray(20.0))])
def test_the_rate_is_the_sum_over_visits(curve, t_s):
    # the interpolation of the quantiles is good to 5 digits of the requests sent, not of the rate
    expected = by_summing_visits(curve, t_s, 10.0, 240.0)
    rate = traffic({"a": curve}).rate(np.array([t_s]), 10.0)[0, 0]
    assert rate == pytest.approx(expected, rel=2e-3, abs=0.05)


def test_even_visits_give_a_plateau():
    # 3,600 visits in an hour: one begins and one ends each second, so 40 requests/s; visits 240
    even = traffic({"a": Even(3600.0)}, visits=3600.0)
    t_s = np.array([260.0, 1000.0, 3600.0])
    assert even.rate(t_s, 10.0)[0] == pytest.approx(40.0)
    assert even.visitors(t_s)[0] == pytest.approx(240.0)
    assert even.peak_rate(10.0)[0] == pytest.approx(40.0)
    assert even.peak_visitors()[0] == pytest.approx(240.0)


def test_nothing_is_sent_before_the_start_and_all_of_it_in_the_end():
    both = traffic({"a": within(60.0), "b": Even(100.0)})
    assert both.rate(np.array([-5.0, 0.0]), 10.0).tolist() == [[0, 0]]
    assert both.rate(np.array([1e5]), 1e5) * 1e5 == pytest.approx(2 * 1000 * 40)


def test_the_requests_of_a_sudden_burst_are_seen_at_once():
    # everybody within a millisecond: 10 first requests each within 2 s, and 2 s of the later ones
    burst = traffic({"a": Decay(np.asarray(1e-3))})
    assert burst.peak_rate(2.0)[0] == pytest.approx(1000 * (10 + 30 * 2 / 240) / 2, rel=1e-2)


@pytest.mark.parametrize("window_s", [0.05, 1.0, 10.0, 60.0, 900.0])
def test_the_peak_is_found_to_one_percent(window_s):
    rng = np.random.default_rng(5)
    for _ in range(20):
        some = random_traffic(rng, draws=20)
        end_s = float(some.visit_s.max()) + FIRST_PAGE_S + window_s
        fine = np.union1d(np.geomspace(0.01, end_s, 1500), np.linspace(0, end_s, 1500))
        highest = some.rate(fine, window_s).max(axis=1)
        peak, _ = some.peak_rate(window_s)
        assert (peak >= 0.99 * highest).all()
        # and it is a rate that occurs: the fine grid misses a sharp tip by a few percent at most
        assert (peak <= 1.05 * highest).all()


def test_the_most_visitors_are_found():
    rng = np.random.default_rng(6)
    for _ in range(50):
        some = random_traffic(rng, draws=20)
        highest = some.visitors(np.geomspace(0.01, 10_000, 2000)).max(axis=1)
        assert (some.peak_visitors()[0] >= highest * (1 - 1e-9)).all()
