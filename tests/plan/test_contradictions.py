"""What cannot be meant together is named with its key and its line; defaults contradict nothing."""

from pathlib import Path

import pytest

from capplan.errors import ExitCode, UsageError
from capplan.plan.load import load_plan

PLAN = """
sale: {{start: 2026-11-27T12:00:00+01:00, duration: {duration}}}
audience: [{{channel: push, reach: 10k, visits: 2%, arrive: within 2 min}}]
visit: {{requests: 8, duration: {visit}}}
service: {{timeout: 4 s}}
saleday: {{{saleday}}}
"""


def plan(folder: Path, saleday: str, duration: str = "10 min", visit: str = "40 s") -> Path:
    path = folder / "sale.yaml"
    path.write_text(PLAN.format(saleday=saleday, duration=duration, visit=visit))
    return path


@pytest.mark.parametrize(
    ("saleday", "said"),
    [
        ("attempts: 3, timeout: 5 min", "attempts: 3 attempts of 5 min with their pauses last 15"),
        ("attempts: 10, backoff: 2 s", "attempts: 10 attempts of 4 s with their pauses last 17"),
        ("attempts: 1, limits: {retry_budget: 5%}", "limits.retry_budget: with one attempt"),
        ("protections: [waf], limits: {queue: 50}", "limits.queue: it bounds a queue, but queue-"),
        ("protections: [], limits: {queue_timeout: 1 s}", "limits.queue_timeout: it bounds"),
        ("limits: {queue_timeout: 4 s}", "limits.queue_timeout: nobody waits 4 s in a queue"),
        ("timeout: 1 s, limits: {queue_timeout: 2 s}", "when clients hang up after 1 s"),
        ("limits: {waf: {lag: 20 min}}", "limits.waf.lag: a WAF that learns for 20 min is no help"),
        ("limits: {per_source: {window: 1 h}}", "limits.per_source.window: 1 h are longer than"),
        ("bots: [{name: x, rate: 9 rps, start: 10 min}]", "bots: 'x' start 10 min after"),
        ("bots: [{name: x, rate: 9 rps, ramp: 2 min, duration: 1 min}]", "never reach their rate"),
        (
            "bots: [{name: x, rate: 9 rps, start: 8 min}], limits: {waf: {lag: 3 min}}",
            "limits.waf.lag: bots that start after 8 min are not recognised before the end",
        ),
        (
            "discipline: processor sharing, limits: {queue_timeout: 1 s}",
            "limits.queue_timeout: with processor sharing nobody waits in a queue",
        ),
        (
            "limits: {gateway_refusal_cost: 10%}",
            "limits.gateway_refusal_cost: a share of what a request costs the gateway",
        ),
        (
            "limits: {waf: {refusal_cost: 10%}}",
            "limits.waf.refusal_cost: a share of what a request costs the WAF",
        ),
        ("limits: {gateway_capacity: 0 rps}", "must be more than zero"),
        ("limits: {breaker: {per: node}}", "limits.breaker.per"),
        ("discipline: fifo, workers: 50", "workers: they share the processors of a server"),
        (
            "protections: [priorities], "
            "classes: [{name: a, per_visit: 1}, {name: b, per_visit: 1}]",
            "protections: priorities make no difference where every class has priority 1",
        ),
        (
            "classes: [{name: a, per_visit: 1}, {name: b, per_visit: 1}], "
            "bots: [{name: x, rate: 9 rps, target: a, buys: yes}]",
            "bots: 'x' buy, which is to ask for 'b', and not for 'a'",
        ),
        ("protections: [waf, waf]", "protections: 'waf' stands twice"),
        ("protections: [multiplex]", "protections: multiplex needs connections"),
        ("refreshers: {share: 5%, after: 4 s}", "refreshers.after: nobody reloads after 4 s"),
        ("refreshers: {share: 5%, times: 101}", "refreshers.times: 101 is more than 100"),
        ("throttle: 0.5", "throttle: 0.5 holds back requests that would be answered"),
        ("slow: {share: 5%, factor: 0.5}", "slow.factor: 0.5 makes them quick"),
        ("downstream: [{name: db, service_time: 1 s, timeout: 1 s}]", "downstream: 'db' takes 1 s"),
        (
            "downstream: [{name: db, service_time: 1 s, outage: {start: 1 h}}]",
            "the outage of 'db' begins 1 h after the start, and the sale lasts 10 min",
        ),
        (
            "downstream: [{name: db, service_time: 1 s}, {name: db, service_time: 1 s}]",
            "the service 'db' stands twice",
        ),
        (
            "classes: [{name: a, per_visit: 1}], downstream: [{name: db, service_time: 1 s, "
            "calls: {b: 1}}]",
            "'db' is called by 'b', which is not one of the classes a",
        ),
        ("downstream: [{name: db, service_time: 1 s, slots: 0}]", "must be from 1"),
        ("downstream: [{name: db}]", "service_time"),
        ("limits: {queue: 0}", "must be from 1"),
        ("backoff: -1 s", "must not be negative"),
        ("classes: [{name: a, per_visit: 1, priority: 11}]", "from 0 to 9"),
    ],
)
def test_a_contradiction_names_its_key_and_its_line(tmp_path, saleday, said):
    with pytest.raises(UsageError) as raised:
        load_plan(plan(tmp_path, saleday))
    assert said in raised.value.message
    assert "sale.yaml:6" in raised.value.message
    assert raised.value.exit_code == ExitCode.USAGE


def test_a_negative_think_time_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match=r"visit.duration: '-40 s' must be more than zero"):
        load_plan(plan(tmp_path, "", visit="-40 s"))


@pytest.mark.parametrize("duration", ["1 min", "2 h"])
def test_defaults_contradict_no_sale(tmp_path, duration):
    assert load_plan(plan(tmp_path, "", duration)).plan.saleday.limits.waf.lag == 120
