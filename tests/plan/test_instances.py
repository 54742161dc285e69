"""The dated price list, and how a plan refers to it."""

from datetime import date
from pathlib import Path

import pytest

from capplan.errors import UsageError
from capplan.plan.instances import catalogue
from capplan.plan.load import load_plan, parse_plan
from capplan.plan.schema import Servers

BEFORE = """\
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 400k, visits: 2%, arrive: within 1 h}]
visit: {requests: 40}
servers:
"""


def servers(text: str) -> Servers:
    return parse_plan(f"{BEFORE}  {text}\n".encode(), "sale.yaml").servers


def test_the_list_says_where_and_when_its_prices_stood():
    for name, instance in catalogue().items():
        assert instance.name == name
        assert instance.listed == date(2026, 1, 19)
        assert "us-east-1" in instance.source
        assert 0.01 < instance.usd_per_h < 1
        # the sizes of a family double
        twice = catalogue().get(name.replace(".large", ".xlarge"))
        if twice and twice is not instance:
            assert twice.usd_per_h == pytest.approx(2 * instance.usd_per_h)
            assert twice.vcpus == 2 * instance.vcpus


def test_an_instance_gives_its_price_and_an_own_price_comes_first():
    assert servers("instance: m7i.large").usd_per_h == 0.1008
    assert servers("instance: m7i.large\n  price: $0.07/h").usd_per_h == 0.07
    assert servers("instance: m7i.large\n  price: $0/h").usd_per_h == 0
    assert servers("price: $0.17/h").usd_per_h == 0.17
    assert servers("today: 6").usd_per_h == 0
    assert not servers("today: 6").priced


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("instance: m7i.larg", "sale.yaml:5: servers.instance: 'm7i.larg' is not in the price "
         "list; did you mean m7i.large?"),
        ("instance: n2-standard-4", "for any other type give servers.price instead"),
        ("instance: [m7i.large]", "the name of an instance type belongs here"),
        ("alternatives: [{instance: m7g.larg, relative_speed: 1}]", "did you mean m7g.large?"),
        ("alternatives: [{instance: m7g.large}]", "nothing says how fast m7g.large is against "
         "the servers of the plan: give its relative_speed, or servers.instance"),
        ("alternatives: [{name: box, price: $0.2/h}]", "an alternative needs an instance of the "
         "price list, or a name, a price and a relative_speed"),
        ("instance: m7i.large\n  alternatives: [{instance: m7i.large}]", "m7i.large stands twice"),
        ("alternatives: [{name: a, price: $1/h, relative_speed: 2}, "
         "{name: a, price: $2/h, relative_speed: 3}]", "a stands twice"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_with_the_way_out(text, complaint):
    with pytest.raises(UsageError) as caught:
        servers(text)
    assert complaint in str(caught.value)


def test_alternatives_may_be_of_the_list_or_named():
    found = servers(
        "instance: m7i.large\n  alternatives: [{instance: m7g.large}, "
        "{name: box, price: $0.2/h, relative_speed: 1.5 to 2}]"
    ).alternatives
    assert [other.label for other in found] == ["m7g.large", "box"]


def test_another_price_makes_a_result_stale(tmp_path: Path):
    def hashed(text: str) -> dict[str, str]:
        (tmp_path / "sale.yaml").write_text(f"{BEFORE}  {text}\n")
        return load_plan(tmp_path / "sale.yaml").sections("servers")

    assert hashed("instance: m7i.large") == hashed("instance:   m7i.large  # cheap")
    assert hashed("instance: m7i.large") != hashed("instance: m7g.large")


@pytest.mark.parametrize(("of", "low", "high"), [("m7g.large", 0.7, 1.4), ("m7i.xlarge", 1.4, 2.8)])
def test_the_assumed_speed_goes_by_vcpus_and_is_wide(of, low, high):
    known = catalogue()
    speed = known["m7i.large"].assumed_speed(known[of])
    assert (speed.low, speed.high) == pytest.approx((low, high))
