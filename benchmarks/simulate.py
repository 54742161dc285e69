"""Measure how many requests per second the event kernel simulates, against SimPy and Ciw.

Prints a table; the last line is JSON. Requests are attempts that are sent, retries included, per
second of CPU time of one core, compiling left out. The same model, written for each simulator:

- *M/M/10*: 90 % utilised, nobody leaves;
- *bounded*: the same 95 % utilised, 20 places in the queue, clients that hang up after five service
  times and ask up to three times.

The full sale day is one act of ``examples/drop.yaml`` with more people: three classes, think times,
bots, retries, and the plan's protections but the waiting room. The large sale is ten minutes with a
million shoppers at once and 60 million requests, in a process of its own, whose memory is measured.

    python benchmarks/simulate.py [--repeat 5] [--short]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from capplan.model.service_time import Exponential
from capplan.plan.load import load_plan
from capplan.plan.schema import Plan
from capplan.simulate.kernel.setup import Fleet, Kind, Setup, advance, build
from capplan.simulate.kernel.tally import COUNTS
from capplan.simulate.kernel.world import World
from capplan.simulate.scene import Scene
from capplan.workflow.compiled import keep_compiled

Process: TypeAlias = Generator[Any, Any, None]
EXAMPLE = Path(__file__).parent.parent / "examples/drop.yaml"
SLOTS, SERVICE_S, PLACES, PATIENCE_S, ATTEMPTS, PAUSE_S = 10, 1.0, 20, 5.0, 3, 1.0
BUSY, BOUNDED_BUSY = 0.9, 0.95


def attempts(world: World) -> int:
    """Return how many requests were sent."""
    return int(world.tables["counts"][:, :, COUNTS.index("attempts")].sum())


def queue(seconds: int, bounded: bool) -> Setup:
    """Return the queue, as the kernel simulates it."""
    service = Exponential(SERVICE_S)
    kind = Kind("request", service)
    fleet = Fleet(slots=SLOTS)
    if bounded:
        kind = Kind("request", service, patience_s=PATIENCE_S, attempts=ATTEMPTS, pause_s=PAUSE_S)
        fleet = Fleet(slots=SLOTS, bound=PLACES)
    rate_rps = SLOTS / SERVICE_S * (BOUNDED_BUSY if bounded else BUSY)
    return Setup([kind], np.full(seconds, rate_rps), fleet)


def kernel_rps(setup: Setup) -> float:
    """Return requests per second of CPU time."""
    world = build(setup)
    start = time.process_time()
    advance(world, float(len(setup.visits_per_s)))
    return attempts(world) / (time.process_time() - start)


def simpy_rps(seconds: float, bounded: bool) -> float:
    """Return requests per second of CPU time of the same queue in SimPy."""
    import simpy

    rng = np.random.default_rng(1)
    env = simpy.Environment()
    pool = simpy.Resource(env, SLOTS)
    sent = 0

    def arrivals() -> Process:
        gap_s = SERVICE_S / SLOTS / (BOUNDED_BUSY if bounded else BUSY)
        while True:
            yield env.timeout(rng.exponential(gap_s))
            env.process(client() if bounded else served())

    def served() -> Process:
        nonlocal sent
        sent += not bounded
        with pool.request() as turn:
            yield turn
            yield env.timeout(rng.exponential(SERVICE_S))

    def client() -> Process:
        nonlocal sent
        for attempt in range(ATTEMPTS):
            sent += 1
            if len(pool.queue) < PLACES or pool.count < SLOTS:
                done = env.process(served())
                yield done | env.timeout(PATIENCE_S)
                if done.triggered:
                    return
            yield env.timeout(PAUSE_S * 2**attempt)

    env.process(arrivals())
    start = time.process_time()
    env.run(seconds)
    return sent / (time.process_time() - start)


def ciw_rps(seconds: float, bounded: bool) -> float:
    """Return requests per second of CPU time of the queue in Ciw, which knows no retries."""
    import ciw

    rate_rps = SLOTS / SERVICE_S * (BOUNDED_BUSY if bounded else BUSY)
    more = {}
    if bounded:
        more["queue_capacities"] = [PLACES]
        more["reneging_time_distributions"] = [ciw.dists.Deterministic(PATIENCE_S)]
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate_rps)],
        service_distributions=[ciw.dists.Exponential(1 / SERVICE_S)],
        number_of_servers=[SLOTS],
        **more,
    )
    ciw.seed(1)
    simulation = ciw.Simulation(network)
    start = time.process_time()
    simulation.simulate_until_max_time(seconds)
    return len(simulation.get_all_records()) / (time.process_time() - start)


def example(visitors: float | None = None) -> tuple[Plan, Scene]:
    """Return the plan of the example and what is simulated of it."""
    from datetime import UTC, datetime

    from capplan.estimate import estimate
    from capplan.results.base import PlanRef, Provenance
    from capplan.simulate.scene import scene

    plan = load_plan(EXAMPLE).plan
    origin = Provenance(
        plan=PlanRef(name="benchmark", sections={}), made_at=datetime(2026, 11, 25, tzinfo=UTC),
        seed=1, environment={},
    )  # fmt: skip
    return plan, scene(plan, estimate(plan, origin), None, visitors)


def full_day(factor: float) -> Setup:
    """Return the attacked, protected act of the example, with more people and servers."""
    from capplan.simulate.acts import ATTACK, Script, stage

    plan, sale = example()
    servers = round(sale.planned * factor / 8)  # an eighth of what would be needed
    # a waiting room would leave little to do for what stands behind it
    chosen = tuple(name for name in plan.saleday.protections if name != "waiting-room")
    script = Script(ATTACK, factor, True, servers, chosen)
    return stage(sale, script, 1)


def ranking(visitors: float | None = None) -> tuple[float, float]:
    """Rank the protections of the example; return the seconds, and the median error as a share.

    The error is half the interval of what a protection is worth, of the visits that could pay.
    """
    from capplan.simulate.worth import comparison, rank, simulated
    from capplan.workflow.threads import side_by_side

    plan, sale = example(visitors)
    planned = comparison(sale, plan.saleday.protections)
    start = time.perf_counter()
    found = rank(planned, plan.saleday.protections, simulated(planned, 1, side_by_side))
    taken_s = time.perf_counter() - start
    errors = [one.alone.error for one in found.protections]
    return taken_s, float(np.median(errors)) / found.runs[0].could_pay


def large() -> Setup:
    """Return ten minutes with a million shoppers at once, who make 60 million requests."""
    seconds, inside, think_s, per_visit = 600, 1_050_000, 10.0, 30.0
    rates = np.full(seconds, inside / (think_s * per_visit))
    rates[:20] = inside / 20
    service = Exponential(0.04)
    kinds = [
        Kind("browse", service, think_s, patience_s=3.0, attempts=3, pause_s=0.2, jitter=0.5),
        Kind("pay", service, think_s, 3.0, attempts=3, pause_s=0.2, jitter=0.5, paid=True),
    ]
    leaves = 1 / per_visit
    walk = np.array([[1 - leaves, 0.1 * leaves], [0.0, 0.0], [1.0, 0.0]])
    return Setup(kinds, rates, Fleet(slots=4200, bound=100_000), walk)


def large_sale() -> dict[str, float]:
    """Simulate the large sale; return its size, time and memory."""
    keep_compiled()
    setup = large()
    advance(build(queue(1, True)), 1.0)  # compiled, or loaded
    start = time.process_time()
    world = build(setup)
    most = 0
    for second in range(10, len(setup.visits_per_s) + 1, 10):
        advance(world, float(second))
        layers = world.tables["layers"]["inside"].sum(axis=0)
        most = max(most, int(layers[2] + layers[3] + layers[4]))
    taken_s = time.process_time() - start
    return {"requests": attempts(world), "shoppers": most, "taken_s": round(taken_s, 1),
            "memory_mb": round(_memory_mb())}  # fmt: skip


def _memory_mb() -> float:
    """Return the most memory that this process had; what its parent had before does not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def start_s() -> tuple[float, float]:
    """Return how long the command takes for the example: the first time, and the median warm."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(EXAMPLE, folder)
        command = [sys.executable, "-m", "capplan", "simulate", str(Path(folder) / EXAMPLE.name)]
        taken = []
        for _ in range(8):
            start = time.perf_counter()
            subprocess.run(
                command, check=True, capture_output=True,
                env={**os.environ, "XDG_CACHE_HOME": folder},
            )  # fmt: skip
            taken.append(time.perf_counter() - start)
        return taken[0], statistics.median(taken[1:])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="the kernel alone")
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.large:
        print(json.dumps(large_sale()))
        return
    keep_compiled()

    def best(work: Callable[[], float]) -> float:
        # other work on the machine only ever slows down
        return max(work() for _ in range(asked.repeat))

    kernel_rps(queue(10, True))
    plain, bounded = (best(partial(kernel_rps, queue(200_000, b))) for b in (False, True))
    sale = full_day(200.0)
    full = best(partial(kernel_rps, sale))
    result: dict[str, float] = {"bounded_rps": round(bounded), "full_rps": round(full)}
    print(f"requests/s of one core, the best of {asked.repeat}\n")
    print("| | M/M/10 | bounded, timeouts, retries | full sale day |")
    print("|---|---|---|---|")
    print(f"| capplan | {plain:,.0f} | {bounded:,.0f} | {full:,.0f} |", flush=True)
    if not asked.short:
        in_simpy = [best(partial(simpy_rps, 3_000, b)) for b in (False, True)]
        in_ciw = [best(partial(ciw_rps, 3_000, b)) for b in (False, True)]
        print(f"| SimPy | {in_simpy[0]:,.0f} | {in_simpy[1]:,.0f} | |")
        print(f"| Ciw | {in_ciw[0]:,.0f} | {in_ciw[1]:,.0f}, without retries | |\n", flush=True)
        big = json.loads(
            subprocess.run([sys.executable, __file__, "--large"], check=True,
                           capture_output=True, text=True).stdout
        )  # fmt: skip
        print(f"ten minutes, {big['shoppers']:,} shoppers at once, {big['requests']:,} requests: "
              f"{big['taken_s']} s, {big['memory_mb']} MB")  # fmt: skip
        cold_s, warm_s = start_s()
        print(f"capplan simulate {EXAMPLE.name}: {warm_s:.2f} s, the median of 7 processes; "
              f"the first time {cold_s:.1f} s")  # fmt: skip
        for visitors, said in ((None, "as it is"), (1e5, "with 100,000 visitors expected")):
            ranked_s, error = ranking(visitors)
            print(f"its ranking, peak ± 10 min, {said}: {ranked_s:.1f} s, "
                  f"± {error:.1%} of the visits that could pay")  # fmt: skip
        print()
        result |= {"vs_simpy": round(bounded / in_simpy[1], 1), "large_s": big["taken_s"],
                   "large_mb": big["memory_mb"], "warm_s": round(warm_s, 2)}  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
