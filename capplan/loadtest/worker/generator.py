"""The load generator: the script, the users that serve it, and what the parent asks of both.

Importing this imports Locust, which patches threads and sockets.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, NoReturn
from urllib.parse import urlsplit

import gevent

from capplan.loadtest.protocol import TrialSpec, WorkerConfig
from capplan.loadtest.worker import clients
from capplan.loadtest.worker.check import check
from capplan.loadtest.worker.gate import Gate
from capplan.loadtest.worker.link import ENDS_BY_ITSELF, Command, Link, Orders, ParentLink
from capplan.loadtest.worker.master import Conductor
from capplan.loadtest.worker.messages import MasterLink, seal_all
from capplan.loadtest.worker.pool import Pool
from capplan.loadtest.worker.recorder import Recorder
from capplan.loadtest.worker.script import Script, ScriptRefused
from capplan.loadtest.worker.tally import Tally
from capplan.loadtest.worker.trial import TrialRun
from capplan.loadtest.worker.visit_check import check_visits
from capplan.loadtest.worker.visit_trial import VisitRun
from capplan.loadtest.worker.visits import Visits
from capplan.loadtest.worker.wire import Wire

_CLEAN_UP_S = 1.0


def serve(parent: ParentLink, config: WorkerConfig) -> None:
    """Load the script and do what the load test asks, until it says quit.

    A script that cannot be used is refused with a message to the load test, and ends this.
    """
    link = MasterLink(config.master) if config.role == "worker" and config.master else parent
    wire = Wire()
    wire.install()
    _bound_clients(link, config, wire)
    try:
        if config.role == "master" and config.master:
            seal_all(config.master.token)
        if config.role == "worker":
            link.send({"is": "loading"})
        script = Script(config)
    except ScriptRefused as refusal:
        link.refuse(str(refusal), refusal.trace, refusal.why)
        link.leave(0)
    try:
        if config.role == "master":
            Conductor(parent, script).serve()
        if isinstance(link, MasterLink):
            link.attach(script.runner)
        script.initialise()
        Generator(link, config, script, wire).serve()
    except SystemExit as left:  # gevent hands it here from the user whose task calls sys.exit
        why = f"it ends the whole process: {script.describe(left)}"
        link.refuse(why, script.trace(left))
        link.leave(0)


def _bound_clients(link: Link, config: WorkerConfig, wire: Wire) -> None:
    """Let the clients of Locust reach the target and the hosts that the plan names."""
    target = urlsplit(config.target).hostname or ""
    allowed = frozenset({target, *map(str.lower, config.allowed_hosts)})
    clients.install(config.timeout_s, allowed, lambda host: link.refuse(host, why="host"), wire)


class Generator:
    """A script that was loaded, with its users at the gate."""

    def __init__(self, link: Link, config: WorkerConfig, script: Script, wire: Wire) -> None:
        self._link, self._config, self._script, self._wire = link, config, script, wire
        self._trial: TrialRun | None = None
        self._tally = Tally(script.environment.stats)
        self._visits = Visits(script, config.visit_tasks) if config.unit == "visit" else None
        self._gate: Gate = self._visits or Gate(script.weights)
        self._gate.install()
        self._gate.starting = wire.on_task
        self._recorder = Recorder(config.timeout_s, script.describe)
        script.environment.events.request.add_listener(self._recorder.on_request)
        self._gate.task_failed = self._recorder.on_task_failed
        self._pool = Pool(script, self._gate, self._script_ended)
        if self._visits:
            self._visits.failed = self._pool.on_user_error

    def serve(self) -> NoReturn:
        """Say what the script holds, then obey until the parent says quit."""
        classes = {cls.__name__: weight for cls, weight in self._script.weights.items()}
        self._link.send({"is": "ready", "classes": classes, "notes": self._script.notes})
        orders: Orders = {
            "begin": self._begin_test,
            "check": self._check,
            "lead": lambda command: self._script.lead(),
            "trial": self._begin_trial,
            "go": self._go,
            "end": self._end,
            "quit": self._quit,
            "leave": lambda command: self._link.leave(0),
        }
        self._link.obey(orders, gevent.sleep)

    def _check(self, command: Command) -> None:
        """Run a visit of each user class without load."""

        def alive() -> None:
            self._link.send({"is": "checking"})

        script, gate, pool, expect = self._script, self._gate, self._pool, command["expect"]
        try:
            if self._visits:
                found = check_visits(script, self._visits, pool, alive, expect, command["limit_s"])
            else:
                found = check(script, gate, pool, self._config.timeout_s, alive, expect)
        except Exception as error:  # a user class of the script may raise anything
            if not self._refuse_its(error):
                raise
        else:
            self._link.send({"is": "checked", "visits": found})

    def _begin_test(self, command: Command) -> None:
        """Tell the script that the test starts, and wait for what it does then."""
        self._script.begin()
        self._link.send({"is": "begun"})

    def _begin_trial(self, command: Command) -> None:
        """Prepare a trial; it waits for ``go``."""
        spec, timeout_s = TrialSpec.from_json(command["spec"]), self._config.timeout_s
        parts = (self._pool, self._recorder, self._wire)
        if self._visits:
            self._trial = VisitRun(spec, timeout_s, self._link, self._visits, *parts)
        else:
            self._trial = TrialRun(spec, timeout_s, self._link, self._gate, *parts)
        gevent.spawn(self._trial.run).link_exception(self._trial_broke)

    def _go(self, command: Command) -> None:
        """Start the schedule at an instant of the shared clock, or so many seconds from now."""
        if self._trial is not None:
            in_s = command.get("in_s")
            self._trial.go_at = command["at"] if in_s is None else perf_counter() + in_s

    def _end(self, command: Command) -> None:
        if self._trial is not None:
            self._trial.end = True

    def _quit(self, command: Command) -> None:
        self._tally.settle()  # the script may look at its statistics once more
        gevent.spawn(self._clean_up).join(timeout=_CLEAN_UP_S)
        self._link.leave(0)

    def _clean_up(self) -> None:
        if self._visits:
            self._visits.close()
        self._pool.stop()
        self._script.report()

    def _trial_broke(self, run: Any) -> None:
        self._refuse_its(run.exception)
        self._link.leave(
            1
        )  # its traceback is in the log by then, and the parent shows the end of it

    def _refuse_its(self, error: BaseException) -> bool:
        """Refuse the script for an error in which it has a part; return whether it has."""
        own = self._script.has_part_in(error)
        if own:
            self._link.refuse(self._script.describe(error), self._script.trace(error))
        return own

    def _script_ended(self) -> None:
        self._link.refuse(ENDS_BY_ITSELF)
