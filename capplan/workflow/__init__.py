"""One function per command, and with it the Python API.

A notebook does what the command line does::

    from capplan.workflow import Overrides, estimate, gate, loadtest, recommend, report, simulate

    estimate("sale.yaml").peak_rps.p95
    loadtest("sale.yaml", overrides=Overrides(time_budget_s=60)).sustained_rps
    recommend("sale.yaml", why=18).options
    simulate("sale.yaml").acts
    gate("sale.yaml").verdict
    report("sale.yaml")

Each function reads the plan and the results of earlier commands, checks that they still belong to
the plan, writes its own result beside the plan, and returns it. What a user can cause is raised as
a ``capplan.errors.CapplanError``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from capplan.workflow.breaking import find_breaking_point, sweep
from capplan.workflow.demand import estimate
from capplan.workflow.export import export
from capplan.workflow.gate import gate
from capplan.workflow.init import init
from capplan.workflow.outcome import record_outcome
from capplan.workflow.recommend import recommend
from capplan.workflow.report import report
from capplan.workflow.simulate import simulate

if TYPE_CHECKING:
    from capplan.workflow.measuring import loadtest
    from capplan.workflow.preparing import Overrides
    from capplan.workflow.staging import demo

__all__ = [
    "Overrides",
    "demo",
    "estimate",
    "export",
    "find_breaking_point",
    "gate",
    "init",
    "loadtest",
    "recommend",
    "record_outcome",
    "report",
    "simulate",
    "sweep",
]

_LATE = {"demo": "staging", "loadtest": "measuring", "Overrides": "preparing"}


def __getattr__(name: str) -> object:
    """Load what puts a server under load only when it is asked for: it takes its time."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
