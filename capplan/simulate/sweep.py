"""The surprise at each value of one key of the plan, with the same visits and bots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from capplan.results.simulation import ActInShort
from capplan.results.sweep import SweepPoint
from capplan.simulate.acts import AS_PLANNED, SECOND, Script, scripts
from capplan.simulate.progress import Progress
from capplan.simulate.scaled import check_size
from capplan.simulate.scene import Scene
from capplan.simulate.together import Halt, Workers, one_by_one, perform

Show = Callable[[Progress], None]


def swept(
    scenes: Sequence[Scene],
    values: Sequence[tuple[float, str]],
    chosen: Sequence[str],
    seed: int,
    *,
    scale: float | None = None,
    workers: Workers = one_by_one,
    show: Show = lambda progress: None,
) -> Iterator[SweepPoint]:
    """Simulate the surprise without and with bots, bare and protected, in each of the scenes.

    Raises ``UsageError`` for more than can be simulated in reasonable time.
    """
    todo = [_scripts(scene, chosen) for scene in scenes]
    if scale is None:
        check_size(scenes[0], [script for one in todo for script in one])
    jobs = [(scene, script) for scene, some in zip(scenes, todo, strict=True) for script in some]

    def simulated(job: tuple[Scene, Script], halt: Halt) -> ActInShort:
        return perform(*job, seed, scale or 1.0, halt)

    ready = workers(simulated, jobs)
    done = 0
    for (value, text), some in zip(values, todo, strict=True):
        acts = []
        for _ in some:
            acts.append(next(ready))
            done += 1
            show(Progress(text, None, None, done / len(jobs)))
        yield SweepPoint(value=value, text=text, acts=tuple(acts))


def _scripts(scene: Scene, chosen: Sequence[str]) -> list[Script]:
    every = scripts(scene, chosen, scene.planned)
    return [script for script in every if script.name not in (AS_PLANNED, SECOND)]
