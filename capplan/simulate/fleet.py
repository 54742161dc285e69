"""The servers as the kernel sees them: a pool or a queue each, first come first served or shared.

A server works on c requests at full speed, as measured. First come first served, c are at work, and
the others wait; a request keeps its place while it waits for a service downstream. With processor
sharing all that are in are served at once and share the speed of those c, but those that wait
downstream. Workers bound how many are in, those that wait downstream among them.
"""

from __future__ import annotations

from dataclasses import replace

from capplan.errors import UsageError
from capplan.simulate.kernel.setup import Fleet
from capplan.simulate.scene import Scene

_IN_ALL = 1_000_000


def fleet(scene: Scene, servers: int) -> Fleet:
    """Return a fleet of so many servers, whose queues have no end.

    Raises ``UsageError`` for fewer workers than a server has to have for what was measured.
    """
    saleday, slots = scene.plan.saleday, scene.server.slots
    apart = saleday.balancing != "one queue"
    stations = servers if apart else 1
    made = Fleet(
        count=stations,
        slots=slots * servers // stations,
        refusal_cost=saleday.refusal_cost,
        balance=saleday.balancing if apart else "random",
    )
    if saleday.workers is not None and saleday.workers < slots:
        raise UsageError(
            f"saleday.workers: with {saleday.workers} at once a server cannot finish what was "
            f"measured: that takes {slots} requests at once",
            f"give {slots} or more, or leave workers out",
        )
    if not saleday.sharing:
        return made
    shared = min(scene.slots * servers, _IN_ALL) // stations
    return replace(made, slots=max(shared, made.slots), cores=float(made.slots))


def bounded(found: Fleet, places: int, timeout_s: float, *, workers: bool = False) -> Fleet:
    """Bound what waits at a fleet to ``places`` in all, each for so long at most.

    Where requests share the processors none waits, unless for one of the ``workers``: there the
    places bound how many share them, beyond those at full speed.
    """
    each = max(round(places / found.count), 1)
    if found.cores < found.slots and not workers:
        return replace(found, slots=round(found.cores) + each, bound=0, patience_s=timeout_s)
    return replace(found, bound=each, patience_s=timeout_s)
