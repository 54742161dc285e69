"""One key varied: what is read, what is refused."""

import pytest

from capplan.errors import UsageError
from capplan.plan.vary import variation, varied
from capplan.units import Range
from tests.recommend import builders

PLAN = builders.plan(
    {"capacity": "80 to 120 rps", "planned": "5"},
    saleday={
        "bots": [{"name": "flood", "rate": "900 rps"}],
        "classes": [{"name": "browse", "per_visit": "9"}, {"name": "pay", "per_visit": "0.2"}],
    },
)


@pytest.mark.parametrize(
    ("asked", "key", "texts"),
    [
        ("attempts=1..5", "saleday.attempts", ["1", "2", "4", "5"]),
        ("saleday.surprise=1..10", "saleday.surprise", ["1x", "4x", "7x", "10x"]),
        ("timeout=1 s..4 s", "saleday.timeout", ["1 s", "2 s", "3 s", "4 s"]),
        ("limits.queue=100,500", "saleday.limits.queue", ["100", "500"]),
        ("limits.waf.catches=80%,99%", "saleday.limits.waf.catches", ["80%", "99%"]),
        ("bots.0.rate=100 rps,1k rps", "saleday.bots.0.rate", ["100 rps", "1,000 rps"]),
        ("servers.capacity=90 rps,110 rps", "servers.capacity", ["90 rps", "110 rps"]),
        ("service.timeout=5s,6s", "service.timeout", ["5 s", "6 s"]),
        ("attempts=2..2", "saleday.attempts", ["2"]),
    ],
)
def test_values_are_read_as_the_plan_reads_them(asked, key, texts):
    found = variation(PLAN, asked, 4)
    assert (found.key, list(found.texts)) == (key, texts)


def test_a_varied_plan_differs_in_one_value():
    assert varied(PLAN, "saleday.bots.0.rate", 7.0).saleday.bots[0].rate == 7.0
    assert varied(PLAN, "servers.capacity", 90.0).servers.capacity == Range(90.0, 90.0)
    changed = varied(PLAN, "servers.planned", 9.0)
    assert changed.servers.planned == 9
    assert type(changed.servers.planned) is int
    assert varied(changed, "servers.planned", 5.0) == PLAN


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("attempts", "does not say what to vary"),
        ("attempts=1..", "does not say what to vary"),
        ("attempts=1..2..3", "does not say what to vary"),
        ("sale.duration=1h..2h", "cannot be varied: the demand was estimated with it"),
        ("saleday.attemps=1..5", "the plan has no saleday.attemps"),
        ("moat=1..5", "the plan has no moat"),
        ("attempts=1..99", "more than any client makes"),
        ("backoff=-1 s..2 s", "must not be negative"),
        ("surprise=few..many", "'few'"),
        ("limits=1..2", "stands where keys and values belong"),
        ("attempts.more=1..2", "nothing stands below attempts"),
        ("bots.9.rate=1 rps..2 rps", "bots is a list of 1"),
        ("bots=1..2", "stands where a list belongs"),
        ("servers.capacity=90 to 100 rps,3 rps", "not a single number"),
        ("bots.0.name=a,b", "not a single number"),
        ("servers.limit=3,4", "more than the limit"),
    ],
)
def test_what_cannot_be_varied_says_why(asked, message):
    with pytest.raises(UsageError, match=message):
        variation(PLAN, asked, 3)


def test_a_key_that_is_nearly_right_is_suggested():
    with pytest.raises(UsageError) as raised:
        variation(PLAN, "saleday.attemps=1..5", 3)
    assert raised.value.hint == "did you mean attempts?"
