"""Poisson arrivals at a G/G/c queue, for comparisons with closed forms."""

import numpy as np

from capplan.model.ggc import fifo_sojourns_s
from capplan.model.service_time import FloatArray, ServiceTime


def poisson_sojourns_s(
    service: ServiceTime,
    slots: int,
    rate_rps: float,
    arrivals: int,
    rng: np.random.Generator,
    warmup: float = 0.1,
) -> FloatArray:
    """Simulate ``arrivals`` and return their sojourn times, without the first ``warmup`` of them.

    Those find a system that is emptier than usual.
    """
    arrivals_s = np.cumsum(rng.exponential(1 / rate_rps, arrivals))
    services_s = service.sample(rng, arrivals)
    return fifo_sojourns_s(arrivals_s, services_s, slots)[round(arrivals * warmup) :]
