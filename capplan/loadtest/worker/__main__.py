"""The child's main program: load the script, then do what the parent asks until it says quit."""

from __future__ import annotations

import os
import signal
import sys
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from capplan.loadtest.protocol import TrialSpec, WorkerConfig
from capplan.loadtest.worker.files import raise_file_limit
from capplan.loadtest.worker.link import Link


def main() -> None:
    """Serve the parent on the socket whose descriptor is the last argument."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a worker machine's terminal wants no traceback
    link = Link(int(sys.argv[-1]))  # its thread has to start before Locust patches threads
    config = WorkerConfig.from_json(link.first())

    raise_file_limit()

    import gevent

    from capplan.loadtest.worker import clients
    from capplan.loadtest.worker.check import check
    from capplan.loadtest.worker.gate import Gate
    from capplan.loadtest.worker.pool import Pool
    from capplan.loadtest.worker.recorder import Recorder
    from capplan.loadtest.worker.script import Script, ScriptRefused
    from capplan.loadtest.worker.tally import Tally
    from capplan.loadtest.worker.trial import TrialRun
    from capplan.loadtest.worker.visit_check import check_visits
    from capplan.loadtest.worker.visit_trial import VisitRun
    from capplan.loadtest.worker.visits import Visits
    from capplan.loadtest.worker.wire import Wire

    def refuse_host(host: str) -> None:
        link.send({"is": "refused", "why": "host", "message": host, "trace": ""})

    def alive() -> None:
        link.send({"is": "checking"})

    allowed = frozenset(
        {urlsplit(config.target).hostname or "", *map(str.lower, config.allowed_hosts)}
    )
    wire = Wire()
    wire.install()
    clients.install(config.timeout_s, allowed, refuse_host, wire)

    def refuse_script(message: str, trace: str = "", why: str = "script") -> None:
        link.send({"is": "refused", "why": why, "message": message, "trace": trace})

    try:
        script = Script(config)
    except ScriptRefused as refusal:
        refuse_script(str(refusal), refusal.trace, refusal.why)
        return

    def script_ended() -> None:
        refuse_script("it stops the test by itself, but how long a load lasts is not its choice")

    def trial_broke(run: Any) -> None:
        if script.has_part_in(run.exception):
            refuse_script(script.describe(run.exception), script.trace(run.exception))
        os._exit(1)  # its traceback is in the log by then, and the parent shows the end of it

    tally = Tally(script.environment.stats)
    visits = Visits(script, config.visit_tasks) if config.unit == "visit" else None
    gate: Gate = visits or Gate(script.weights)
    gate.install()
    gate.starting = wire.on_task
    recorder = Recorder(config.timeout_s, script.describe)
    script.environment.events.request.add_listener(recorder.on_request)
    gate.task_failed = recorder.on_task_failed
    pool = Pool(script, gate, script_ended)

    def checked(expect: list[str], limit_s: float) -> list[dict[str, Any]]:
        if visits:
            return check_visits(script, visits, pool, alive, expect, limit_s)
        return check(script, gate, pool, config.timeout_s, alive, expect)

    def trial_of(spec: TrialSpec) -> TrialRun:
        if visits:
            return VisitRun(spec, config.timeout_s, link, visits, pool, recorder, wire)
        return TrialRun(spec, config.timeout_s, link, gate, pool, recorder, wire)

    def stop() -> None:
        if visits:
            visits.close()
        pool.stop()

    if visits:
        visits.failed = pool.on_user_error
    classes = {cls.__name__: weight for cls, weight in script.weights.items()}
    link.send({"is": "ready", "classes": classes, "notes": script.notes})

    trial: TrialRun | None = None
    try:
        while True:
            command = link.poll()
            if command is None:
                gevent.sleep(0.02)
            elif command["do"] == "check":
                found = checked(command["expect"], command["limit_s"])
                link.send({"is": "checked", "visits": found})
            elif command["do"] == "trial":
                trial = trial_of(TrialSpec.from_json(command["spec"]))
                gevent.spawn(trial.run).link_exception(trial_broke)
            elif command["do"] == "go" and trial is not None:
                in_s = command.get("in_s")
                trial.go_at = command["at"] if in_s is None else perf_counter() + in_s
            elif command["do"] == "lead":
                script.lead()
            elif command["do"] == "end" and trial is not None:
                trial.end = True
            elif command["do"] == "quit":
                tally.settle()  # the script may look at its statistics once more
                gevent.spawn(stop).join(timeout=1.0)
                os._exit(0)
    except SystemExit as left:  # gevent hands it here from the user whose task calls sys.exit
        refuse_script(f"it ends the whole process: {script.describe(left)}", script.trace(left))


if __name__ == "__main__":
    main()
