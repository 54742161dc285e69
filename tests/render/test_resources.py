"""The target's side of a load test, in words, in the table and on the page."""

from typing import Any

from rich.console import RenderableType

from capplan.render.capacity import capacity as shown
from capplan.render.capacity import limits
from capplan.render.html import figures
from capplan.results.capacity import Binding, Capacity, Criterion
from capplan.results.resources import (
    Bottleneck,
    CpuAtRate,
    Resources,
    ResourceUse,
    TargetProcess,
)
from tests.render.test_terminal import capacity, text, trial

BINDING = Binding(
    endpoint=None, name="cpu", limit=0.85, allowed=0.85, exceedance=0.861, from_rps=372.0,
    to_rps=410.0,
)  # fmt: skip


def wide(what: RenderableType) -> str:
    return text(what, 120)


def criterion(name: str, used: float) -> Criterion:
    return Criterion(
        endpoint=None, name=name, limit=0.85, measured=used, allowed=0.85, exceedance=used,
        variance=1e-4, held=used <= 0.85,
    )  # fmt: skip


def seen(*names: str, **changes: Any) -> Capacity:
    """A load test that saw its target, with limits of these names."""
    use = ResourceUse(
        cpu=0.62, memory_bytes=2.4e9, memory=0.3, open_files=340.0, open_files_share=0.33,
        sent_bytes_per_s=12e6, samples=20, metrics={"db_connections": 20.0, "queue": None},
    )  # fmt: skip
    trials = tuple(
        trial("refine", rate, outcome).model_copy(
            update={
                "resources": use.model_copy(update={"cpu": cpu}),
                "criteria": tuple(criterion(name, cpu) for name in names),
            }
        )
        for rate, outcome, cpu in ((386.0, "pass", 0.62), (600.0, "fail", 0.97))
    )
    return capacity(
        trials=trials,
        resources=Resources(
            seen_by=("processes", "prometheus"),
            processes=(TargetProcess(pid=7, name="shop"),),
            cores=2.0,
            memory_limit_bytes=8e9,
            samples=40,
            cpu_at_sustained=CpuAtRate(
                rate_rps=386.0, low=0.6, mid=0.62, high=0.64, confidence=0.95, idle=0.02,
                per_rps=0.0016, trials=4,
            ),
            at_sustained=use,
        ),
        bottleneck=Bottleneck(
            resource="cpu",
            share=0.97,
            from_rps=600.0,
            to_rps=600.0,
            message="CPU 97% of its 2 cores at the limit",
            advice="more or faster cores raise it",
        ),
        **changes,
    )  # fmt: skip


def test_what_binds_the_bottleneck_and_the_use_are_a_sentence_each():
    assert limits(seen("cpu", binding=BINDING)) == [
        "What binds: the CPU of the target. 86% in use between 372 and 410 rps, 85% may be "
        "(service.max).",
        "Bottleneck: CPU 97% of its 2 cores at the limit. More or faster cores raise it.",
        "The target at 386 rps: CPU 62% of its 2 cores, memory 2.4 GB (30%), 340 open files (33%), "
        "12 MB/s sent, db_connections 20, queue unknown.",
    ]


def test_a_load_test_that_saw_nothing_of_its_target_says_nothing_of_it():
    assert limits(capacity()) == []
    assert "cpu" not in wide(shown(capacity(), "sale.yaml"))
    assert figures.used(capacity()) == ""


def test_the_table_has_the_cpu_where_it_was_seen_and_memory_where_it_is_limited():
    header = next(line for line in wide(shown(seen(), "sale.yaml")).splitlines() if "asked" in line)
    assert header.split()[-2:] == ["cpu", "outcome"]
    lines = wide(shown(seen("cpu", "memory"), "sale.yaml")).splitlines()
    assert next(line for line in lines if "asked" in line).split()[-3:] == [
        "cpu",
        "memory",
        "outcome",
    ]
    assert next(line for line in lines if line.startswith("refine")).split()[-3:] == [
        "62%",
        "30%",
        "pass",
    ]


def test_the_page_draws_the_cpu_of_each_trial_with_its_limit():
    picture = figures.used(seen("cpu"))
    assert "600 rps: CPU 97%, fail" in picture
    assert "386 rps: CPU 62%, pass" in picture
    assert "limit 85%" in picture
    assert "CPU of 2 cores" in picture
