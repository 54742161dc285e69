"""When a trial has warmed up: a test on its own latencies, not a guess.

A trial begins at an empty server, so its first requests are quicker than usual; or at a cold one,
so that they are slower. Either way the warm-up is over when latency has come to where it stays.
"""

from __future__ import annotations

import numpy as np

from capplan.loadtest.protocol import FAILURE, TrialSpec
from capplan.loadtest.recording import Rows

LONGEST = 0.5
"""The largest share of a trial that may be warm-up."""

_BATCHES = 50
_FEWEST_BATCHES, _FEWEST_IN_BATCH = 10, 5
_UNTESTED = 0.2  # of a trial with too few requests to test is left out,
_CONNECTING_S = 0.5  # and no less than users take to connect
_THERE = 0.01  # a mean that is so near the other, as a share of it, is the same
_CEILING = 2.0  # times the longest limit: how far over it a request is does not matter


def settled_s(rows: Rows, spec: TrialSpec) -> float:
    """Return how many seconds from the start of a trial are warm-up.

    The crossing-of-the-mean rule (G. S. Fishman, *Concepts and Methods in Discrete Event Digital
    Simulation*, 1973), with the first crossing and the mean of the second half: successive means of
    equally many requests lie on one side of that mean, and the warm-up ends before the first that
    has come there, or lies on the other. It takes at most half of the trial. Requests that
    failed have no latency.
    """
    answered = rows.where(rows.ending != FAILURE)
    batches = min(_BATCHES, len(answered) // _FEWEST_IN_BATCH)
    if batches < _FEWEST_BATCHES:
        return min(max(_CONNECTING_S, _UNTESTED * spec.duration_s), LONGEST * spec.duration_s)
    order = np.argsort(answered.intended_s, kind="stable")
    starts = np.linspace(0, len(order), batches, endpoint=False).astype(np.int64)
    latency_s = np.minimum(answered.sojourn_s[order], _CEILING * spec.give_up_s)
    means = np.add.reduceat(latency_s, starts) / np.diff(np.append(starts, len(order)))
    half = batches // 2
    steady_s = means[half:].mean()
    side = np.sign(means[:half] - steady_s)
    there = (np.abs(means[:half] - steady_s) <= _THERE * steady_s) | (side != side[0])
    if not there.any():
        return LONGEST * spec.duration_s
    settled = float(answered.intended_s[order][starts[np.argmax(there)]])
    return min(settled, LONGEST * spec.duration_s)
