"""One function per command, and with it the Python API.

A notebook does what the command line does::

    from capplan.workflow import estimate, gate, recommend

    demand = estimate("sale.yaml")
    demand.peak_rps.p95
    recommend("sale.yaml", servers=18).options

Each function reads the plan and the results of earlier commands, checks that they still belong to
the plan, writes its own result beside the plan, and returns it. What a user can cause is raised as
a ``capplan.errors.CapplanError``.
"""

from capplan.workflow.demand import estimate
from capplan.workflow.demo import demo
from capplan.workflow.gate import gate
from capplan.workflow.init import init
from capplan.workflow.recommend import recommend

__all__ = ["demo", "estimate", "gate", "init", "recommend"]
