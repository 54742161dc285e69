"""A whole load test in unit ``visit``, from the plan to the stored result."""

import json
import math
import textwrap
from pathlib import Path

import pytest

from capplan.errors import UsageError
from capplan.loadtest.generators.engine import CheckedVisit
from capplan.loadtest.phases.asked import AskedPhases
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from capplan.results.capacity import Capacity
from capplan.results.store import read_result
from capplan.workflow.capacity import current_capacity
from capplan.workflow.checked import checked_json
from capplan.workflow.measuring import loadtest
from capplan.workflow.paired import paired
from capplan.workflow.preparing import Overrides
from capplan.workflow.shelf import open_plan

SCRIPT = """
from locust import FastHttpUser, SequentialTaskSet, constant, task

class Trip(SequentialTaskSet):
    @task
    def shelf(self):
        self.client.get("/shelf")

    @task
    def pay(self):
        self.client.post("/pay")
        self.client.get("/thanks")

class Buyer(FastHttpUser):
    wait_time = constant(0.05)
    tasks = [Trip]

    def on_start(self):
        self.client.get("/")
"""
PLAN = """\
sale: {name: flash, start: 2026-11-27T12:00:00+01:00, duration: 2 h}
usual: {orders_per_day: 70, multiple: 3 to 8, within: 2 h, conversion: 2% to 3%}
visit: {requests: 3 to 6, order_endpoint: POST /pay}
service: {target: URL, locustfile: shop.py, unit: visit, sla: {latency_p95: 250 ms}}
"""


def written(folder: Path, url: str = "http://127.0.0.1:9") -> Path:
    (folder / "shop.py").write_text(textwrap.dedent(SCRIPT))
    plan = folder / "sale.yaml"
    plan.write_text(PLAN.replace("URL", url))
    return plan


@pytest.mark.load
def test_visits_are_held_up_to_the_highest_rate_and_kept_in_every_unit(tmp_path):
    """The server carries 3,200/s; the highest rate that is asked for is 40/s, 10 visits."""
    with RefServer(RefServerConfig(64, Deterministic(0.02), lifetime_s=120.0)) as server:
        plan = written(tmp_path, server.url)
        result = loadtest(plan, overrides=Overrides(max_rate_rps=40.0, time_budget_s=20.0))
    assert (result.verdict, result.identity.unit) == ("not_reached", "visit")
    assert result.requests_per_arrival == 4.0
    rps, visits, orders = (
        result.sustained_rps.low,
        result.sustained_visits_per_s,
        result.sustained_orders_per_min,
    )
    assert rps is not None
    assert rps == pytest.approx(40.0, rel=0.02)
    assert visits is not None
    assert visits.low == pytest.approx(rps / 4)
    assert (visits.mid, visits.high) == (None, None)
    assert orders is not None
    # every visit ends with one order, but for those that a trial cuts off at its end or begin
    assert orders.low == pytest.approx(60 * rps / 4, rel=0.1)
    for trial in result.trials:
        assert trial.visits is not None
        assert trial.visits.issued == trial.health.tickets_issued
        assert trial.visits.ended == trial.visits.counted > 0
        assert trial.visits.length_s_p95 is not None
        assert trial.duration_s - trial.warmup_s >= 3 * 0.05
    assert read_result(tmp_path / "sale.capplan" / "capacity.json", Capacity) == result
    assert current_capacity(*open_plan(plan)) == result
    plan.write_text(plan.read_text().replace("visit: {", "visit: {tasks: 7, "))
    with pytest.raises(UsageError, match=r"visit\.tasks changed"):
        current_capacity(*open_plan(plan))


def test_what_cannot_be_is_refused_before_the_load(tmp_path):
    with RefServer(RefServerConfig(64, Deterministic(0.001), lifetime_s=60.0)) as server:
        plan = written(tmp_path, server.url)
        with pytest.raises(UsageError, match=r"phases .* in service\.unit: task only"):
            loadtest(plan, asked=AskedPhases(opening=True))
        with pytest.raises(UsageError, match=r"--paired needs service\.unit: task"):
            paired(plan, server.url, server.url)
        plan.write_text(plan.read_text().replace("POST /pay", "POST /pays"))
        with pytest.raises(UsageError, match=r"named 'POST /pays', as visit\.order_endpoint says"):
            loadtest(plan)
        # visits without load, up to sixty of them in search of the name
        assert server.stats()["received"] == 60 * 4


def test_a_visit_that_did_not_end_has_no_length_in_json():
    lost = CheckedVisit("Lost", 500, (), "it had not ended", (1.5, math.inf), (3, 500))
    (found,) = json.loads(checked_json([lost]))
    assert found["lengths_s"] == [1.5, None]
