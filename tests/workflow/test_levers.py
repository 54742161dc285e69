from pathlib import Path

import pytest

from capplan.results.demand import Demand
from capplan.results.store import read_result
from capplan.workflow import estimate, recommend

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: push, reach: 400k, visits: 1% to 3%, arrive: within 10 min}]
visit: {requests: 20 to 60}
"""
SERVERS = "servers: {capacity: 350 to 420 rps, zones: 3}\n"


def planned(folder: Path, text: str) -> Path:
    plan = folder / "sale.yaml"
    plan.write_text(text)
    return plan


def test_each_lever_says_how_many_servers_it_would_leave(tmp_path):
    plan = planned(tmp_path, PLAN + SERVERS)
    found = {lever.name: lever.servers for lever in estimate(plan, draws=20_000).levers}
    assert found["as planned"] == recommend(plan).servers
    assert None not in found.values()
    # the plan that adopts a lever needs the servers that were promised, but for one of rounding
    for lever, old, new in (
        ("send over 30 min", "within 10 min", "within 10 min, send_over: 30 min"),
        ("cache for 60% of requests", "20 to 60", "8 to 24"),
    ):
        planned(tmp_path, (PLAN + SERVERS).replace(old, new))
        assert recommend(plan).servers == pytest.approx(found[lever], abs=1)


def test_without_a_capacity_there_is_no_count(tmp_path):
    demand = estimate(planned(tmp_path, PLAN), draws=1000)
    assert {lever.servers for lever in demand.levers} == {None}


def test_the_stored_demand_has_no_count_for_it_does_not_belong_to_a_capacity(tmp_path):
    demand = estimate(planned(tmp_path, PLAN + SERVERS), draws=1000)
    stored = read_result(tmp_path / "sale.capplan" / "demand.json", Demand)
    assert {lever.servers for lever in stored.levers} == {None}
    assert stored.peak_rps == demand.peak_rps
