"""Whether a load test contradicts what is seen today."""

from typing import Any

import pytest

from capplan.model.overload import ServerRate
from capplan.plan.schema import SeenPeak
from capplan.results.resources import CpuAtRate
from capplan.results.today import contradiction

SERVER = ServerRate(372.0, 386.0, 401.0, 0.95)


def seen(rate: str, cpu: str, servers: str = "6") -> SeenPeak:
    return SeenPeak.model_validate({"rate": rate, "cpu": cpu, "servers": servers})


def line(idle: float, per_rps: float) -> CpuAtRate:
    return CpuAtRate(
        rate_rps=386.0, low=None, mid=idle + per_rps * 386.0, high=None, confidence=0.95,
        idle=idle, per_rps=per_rps, trials=3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cpu", "contradicts"),
    [
        (line(0.05, 0.00212), False),  # 35 % at 850/6 = 142 rps, exactly as today
        (line(0.0, 0.0037), False),  # 52 %, 1.5 times as much
        (line(0.0, 0.0046), True),  # 65 %
        (line(0.0, 0.001), True),  # 14 %
        (line(0.0, 0.05), True),  # more than all of it
        (line(-0.2, 0.001), True),  # and never less than nothing
    ],
)
def test_the_cpu_of_the_load_test_is_compared_at_the_load_of_today(cpu, contradicts):
    # what one server sustains would agree: 142 rps at 35 % are 405 rps at full CPU
    assert bool(contradiction(seen("850 rps", "35%"), SERVER, cpu)) is contradicts


def test_the_note_states_both_shares_at_the_same_rate():
    (note,) = contradiction(seen("600 rps", "20%"), SERVER, line(0.1, 0.005))
    assert note.message == (
        "today 100 rps per server take 20% of its CPU, in the load test they take 60%"
    )
    assert "usual.peak" in note.advice


@pytest.mark.parametrize(
    ("rate", "contradicts"), [("850 rps", False), ("350 rps", True), ("2400 rps", True)]
)
def test_without_a_cpu_the_rate_at_all_of_the_cpu_is_compared(rate: str, contradicts: Any):
    assert bool(contradiction(seen(rate, "35%"), SERVER, None)) is contradicts


def test_nothing_is_said_without_a_peak_or_without_a_measurement():
    assert contradiction(None, SERVER, line(0.0, 0.01)) == []
    assert contradiction(seen("850 rps", "35%"), None, None) == []
    assert contradiction(seen("850 rps", "0%"), SERVER, line(0.0, 0.01)) == []
