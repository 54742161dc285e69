"""Who gets what there is to buy: shoppers, and bots that buy as well.

The stock limits who pays, and nothing else: requests go on when all is sold, for nobody knows yet.
So what was paid is counted in the order of the seconds, until the stock is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capplan.simulate.acts import Script
from capplan.simulate.kernel.tally import COUNTS, VISITS
from capplan.simulate.kernel.world import World
from capplan.simulate.scene import Scene

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sales:
    """How many visits paid, how many bots did, and in which second the last one was sold."""

    paid: int
    scalped: int
    out_at_s: float | None


def sales(scene: Scene, script: Script, world: World, share: float) -> Sales:
    """Return what was sold in an act, of which ``share`` was simulated."""
    paid = world.tables["visits"][:, VISITS.index("paid")] / share
    buyers = [
        len(scene.steps) + number
        for number, group in enumerate(scene.bots() if script.attacked else ())
        if group.buys
    ]
    bought = world.tables["counts"][:, buyers, COUNTS.index("good")].sum(axis=1) / share
    return sold(paid, bought, scene.stock)


def unsold_visits(scene: Scene, sales: Sales) -> float:
    """Return how many visits more it would have taken to sell the rest of the stock.

    Overload costs no more than what stays in stock: a visit that is lost when all is sold, or
    whose piece another one buys, loses nothing.
    """
    return max(scene.stock - sales.paid - sales.scalped, 0.0) / scene.paying


def sold(paid: Floats, bought: Floats, stock: float) -> Sales:
    """Share out a stock: in the second in which it ends, in proportion.

    >>> sold(np.array([2.0, 2.0, 2.0]), np.array([0.0, 2.0, 6.0]), 8.0)
    Sales(paid=4, scalped=4, out_at_s=2.0)
    >>> sold(np.array([2.0]), np.array([1.0]), np.inf)
    Sales(paid=2, scalped=1, out_at_s=None)
    """
    together = paid + bought
    before = np.concatenate([[0.0], np.cumsum(together)[:-1]])
    left = np.clip(stock - before, 0.0, together)
    served = np.divide(left, together, out=np.zeros_like(together), where=together > 0)
    gone = np.flatnonzero(before + together >= stock)
    return Sales(
        paid=round(float((paid * served).sum())),
        scalped=round(float((bought * served).sum())),
        out_at_s=float(gone[0]) if len(gone) else None,
    )
