"""λ(t) of the servers' requests with its band: some 400 times for the result, or every second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from capplan.estimate.follow import traffic_of
from capplan.estimate.inputs import Inputs
from capplan.estimate.traffic import FIRST_PAGE_S, Traffic
from capplan.model.arrivals import Curve
from capplan.results.demand import Profile

Floats = NDArray[np.float64]

_BAND_DRAWS = 2_000
_LEVELS = (0.05, 0.5, 0.95)
_ROWS = 50  # draws that are followed at once: more would only leave the processor's cache
_COLUMNS = 1_000
_LOOKS = 100
_ROUNDING = 1e-12
_PLATEAU = 1e-3
_NOTHING = 1e-9  # of the highest rate


def profile(
    inputs: Inputs, window_s: float, duration_s: float, scale: Floats
) -> tuple[Profile, float]:
    """Return λ(t) with its band, and when the median is highest.

    ``scale`` turns the funnel's traffic of each draw into the estimate's. Rates are averaged over
    the window before each time; gusts are not in them.
    """
    count = min(_BAND_DRAWS, len(scale))
    t_s = _times(inputs, window_s, _end(inputs, duration_s))
    rates = traffic_of(inputs, slice(0, count)).rate(t_s, window_s) * scale[:count, None]
    p5, p50, p95 = np.quantile(rates, _LEVELS, axis=0)
    shape = Profile(t_s=_short(t_s), rps_p5=_band(p5), rps_p50=_band(p50), rps_p95=_band(p95))
    # of a plateau, its beginning
    return shape, float(t_s[int(np.argmax(p50 >= (1 - _PLATEAU) * p50.max()))])


def by_second(inputs: Inputs, window_s: float, duration_s: float, scale: Floats) -> Profile:
    """Return λ(t) with its band for every second, from when the first come to when all have left.

    On the grid of seconds a curve that is the same in all draws is followed once for all of them,
    and every delay is a shift; between two seconds the requests sent are interpolated.
    """
    count = min(_BAND_DRAWS, len(scale))
    begin = float(np.floor(min(-window_s, *_begins(inputs))))
    t_s = np.arange(begin, np.ceil(_end(inputs, duration_s)) + 1)
    rates = np.empty((count, len(t_s)), dtype=np.float32)
    for row, sent in enumerate(_sent(inputs, t_s, count)):
        sent -= shifted(sent, window_s)
        np.multiply(np.maximum(sent, 0.0, out=sent), scale[row] / window_s, out=rates[row])
    position = np.asarray(_LEVELS) * (count - 1)
    at = position.astype(int)
    next_at, part = np.minimum(at + 1, count - 1), (position - at)[:, None]
    bands = np.empty((len(_LEVELS), len(t_s)))
    for start in range(0, len(t_s), _COLUMNS):
        # sorted once for all three, which is faster than to look for each
        ranked = np.sort(rates[:, start : start + _COLUMNS].T, axis=1).T
        bands[:, start : start + _COLUMNS] = ranked[at] * (1 - part) + ranked[next_at] * part
    p5, p50, p95 = (_band(band) for band in bands)
    return Profile(t_s=_short(t_s), rps_p5=p5, rps_p50=p50, rps_p95=p95)


def _sent(inputs: Inputs, t_s: Floats, draws: int) -> Iterator[Floats]:
    """Give the requests sent by each of ``t_s``, seconds apart, draw by draw."""
    for start in range(0, draws, _ROWS):
        traffic = traffic_of(inputs, slice(start, min(start + _ROWS, draws)))
        for row, whole in enumerate(_begun(traffic, t_s)):
            visit_s = float(traffic.visit_s[row, 0])
            later = traffic.later_requests[row, 0] / visit_s
            sent = later * (whole - shifted(whole, visit_s))
            if first := float(traffic.first_requests[row, 0]):
                sent += first / FIRST_PAGE_S * (whole - shifted(whole, FIRST_PAGE_S))
            yield sent


def _begun(traffic: Traffic, t_s: Floats) -> Floats:
    """Return what ``traffic.begun_integral`` does, on a long grid faster.

    All is one product of matrices, but for the part of curves that differ by draw in which somebody
    still comes.
    """
    weights, shapes, own = [], [], []
    for name, curve in traffic.curves.items():
        visits = traffic.visits[name]
        if curve.begun(t_s[:1]).ndim == 1:
            weights.append(visits)
            shapes.append(curve.begun_integral(t_s))
            continue
        end = _settled(curve, t_s)
        own.append((end, visits * curve.begun_integral(t_s[:end])))
        # from then on the integral grows by a second per second
        weights += [visits, own[-1][1][:, -1:] - visits * t_s[end - 1]]
        settled = (np.arange(len(t_s)) >= end).astype(float)
        shapes += [settled * t_s, settled]
    total = np.concatenate(weights, axis=1) @ np.stack(shapes)
    for end, sent in own:
        total[:, :end] += sent
    return np.asarray(total)


def _settled(curve: Curve, t_s: Floats) -> int:
    """Return from which index on all visits of all draws have begun."""
    step = max(len(t_s) // _LOOKS, 1)
    looked = curve.begun(t_s[::step])
    done = (looked >= 1 - _ROUNDING).reshape(-1, looked.shape[-1]).all(axis=0)
    return min((int(done.argmax()) * step if done.any() else len(t_s)) + 1, len(t_s))


def shifted(values: Floats, steps: float) -> Floats:
    """Return ``values``, evenly spaced and nothing before them, so many steps later.

    >>> shifted(np.array([0.0, 10.0, 20.0, 30.0]), 1.5).tolist()
    [0.0, 0.0, 5.0, 15.0]
    """
    whole, part = divmod(steps, 1.0)
    shift, count = int(whole), len(values)
    late = np.zeros(count)
    if shift < count:
        np.multiply(values[: count - shift], 1 - part, out=late[shift:])
    if part and shift + 1 < count:
        late[shift + 1 :] += part * values[: count - shift - 1]
    return late


def _times(inputs: Inputs, window_s: float, end_s: float) -> Floats:
    """Seconds from the start: a little before the first come, dense round the busy times."""
    begin_s = min(_begins(inputs))
    busy = np.array([end for curve in inputs.curves.values() for end in curve.busy_s])
    steps = np.geomspace(min(2.0, window_s), end_s, 240)
    before = -steps[steps < -begin_s][::4]
    near = (busy[:, None] + window_s * np.arange(-2, 4)).ravel()
    evenly = np.linspace(begin_s, end_s, 122)[1:]
    ends = np.array([begin_s - window_s, begin_s, 0.0])
    times = np.unique(np.round(np.concatenate([ends, before, steps, near, evenly]), 1))
    return np.asarray(times[times <= end_s])


def _begins(inputs: Inputs) -> list[float]:
    return [min(0.0, curve.begins_s) for curve in inputs.curves.values()]


def _end(inputs: Inputs, duration_s: float) -> float:
    return duration_s + float(np.quantile(inputs.visit_s, 0.95))


def _band(rates: Floats) -> tuple[float, ...]:
    """Return rates without what is left of none at all when sums of many requests are subtracted.

    That is some 1e-12 of the highest rate, and not the same on each processor.
    """
    return _short(np.where(rates < _NOTHING * rates.max(), 0.0, rates))


def _short(values: Floats) -> tuple[float, ...]:
    """Round to six significant digits; more would only make the file larger."""
    return tuple(float(f"{value:.6g}") for value in values)
