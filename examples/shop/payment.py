"""The payment provider, simulated: it takes a moment to answer, and now and then it declines.

This is the only part of the shop that sleeps. A shop waits for its provider across a network; the
wait holds no thread and no database lock, only the customer's attention.
"""

from __future__ import annotations

import asyncio
import math
import random

MEDIAN_LATENCY_S = 0.060
LATENCY_SPREAD = 0.5
"""Sigma of the lognormal latency: p95 is 137 ms, p99 is 192 ms."""

DECLINED_CARD = "4000000000000002"
"""A test number that is always declined, as real providers offer one."""


class PaymentProvider:
    """Charges cards; the n-th charge takes the same time and fares the same for the same seed."""

    def __init__(self, seed: int, decline_rate: float) -> None:
        self._rng = random.Random(f"{seed}.payment")
        self._decline_rate = decline_rate

    async def charge(self, card: str, amount_cents: int) -> bool:
        """Return whether the card was charged with ``amount_cents``."""
        latency_s = self._rng.lognormvariate(math.log(MEDIAN_LATENCY_S), LATENCY_SPREAD)
        lucky = self._rng.random() >= self._decline_rate
        await asyncio.sleep(latency_s)
        return lucky and amount_cents > 0 and card.replace(" ", "") != DECLINED_CARD
