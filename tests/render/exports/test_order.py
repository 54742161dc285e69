from datetime import UTC, datetime, timedelta

import pytest

from capplan.cli.recommend_options import ExportFormat
from capplan.errors import ExitCode, UsageError
from capplan.recommend import recommend
from capplan.render.exports import FORMATS
from capplan.render.exports import order as order_of
from capplan.render.exports.order import header
from tests.recommend.builders import certain, demand, plan, provenance
from tests.render.exports.builders import START, order

UP = START - timedelta(minutes=21)


def made_at(moment: datetime, today: str = "6"):
    asked = plan({"today": today})
    return order_of(asked, recommend(asked, demand(count=400), certain(386.0), provenance(moment)))


def test_an_order_is_what_the_recommendation_schedules() -> None:
    found = made_at(UP - timedelta(days=3))
    assert found.steps[0].at == UP
    assert found.steps[-1].servers == found.trigger.least_servers == 6
    assert (found.group, found.named) == ("shop", False)


@pytest.mark.parametrize("late_min", [0, 1, 60, 60 * 24 * 365])
def test_a_time_that_is_past_is_refused_and_named(late_min: int) -> None:
    with pytest.raises(UsageError, match="2026-11-27 11:39 \\+0100 is past") as refused:
        made_at((UP + timedelta(minutes=late_min)).astimezone(UTC))
    assert refused.value.exit_code == ExitCode.USAGE
    assert "start the servers by hand now" in refused.value.hint


def test_a_fleet_that_is_enough_leaves_nothing_to_export() -> None:
    with pytest.raises(UsageError, match="the 100 servers of today are enough"):
        made_at(UP - timedelta(days=3), today="100")


def test_a_fleet_of_another_kind_is_not_a_matter_of_counts() -> None:
    big = {"name": "big", "price": "$0.01/h", "relative_speed": "2"}
    asked = plan({"alternatives": [big]})
    advice = recommend(asked, demand(count=400), certain(386.0), provenance())
    with pytest.raises(UsageError, match="another kind than today's servers"):
        order_of(asked, advice)


def test_the_head_shows_each_step_in_utc_and_in_the_zone_of_the_sale() -> None:
    lines = header(order()).splitlines()
    assert all(line.startswith("#") for line in lines)
    rows = [line for line in lines if "for a reason" in line]
    assert rows[0].split()[1:6] == ["2026-11-27", "10:35", "2026-11-27", "11:35", "16"]
    assert rows[-1].split()[1:6] == ["2026-11-27", "13:00", "2026-11-27", "14:00", "6"]
    assert "sale's zone (+01:00)" in "\n".join(lines)


def test_the_head_says_when_the_group_is_a_guess() -> None:
    assert "servers.group" not in header(order())
    assert "servers.group" in header(order(named=False))


def test_the_command_line_knows_every_format() -> None:
    assert [one.value for one in ExportFormat] == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_order_gives_the_same_bytes(name: str) -> None:
    assert FORMATS[name].write(order()) == FORMATS[name].write(order())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sale", ["x" * 80, "Продажа", "a: 'b' \"c\" $(d) `e` ${f} #g"])
def test_any_name_of_a_sale_can_be_written(name: str, sale: str) -> None:
    text = FORMATS[name].write(order(sale=sale))
    assert text.isprintable() is False
    assert sale.split()[0] in text.splitlines()[0] + text.splitlines()[1]


@pytest.mark.parametrize("days", [364, 366])
@pytest.mark.parametrize("name", FORMATS)
def test_cron_is_not_trusted_with_what_is_more_than_a_year_away(name: str, days: int) -> None:
    """It would order the servers on the same day of this year; AWS is told the year."""
    far = order(made_at=START - timedelta(days=days))
    if days > 365 and name in ("kubernetes", "keda"):
        with pytest.raises(UsageError, match="2026-11-27 is more than a year away") as refused:
            FORMATS[name].write(far)
        assert "as aws-asg or terraform" in refused.value.hint
    else:
        assert "2026-11-27" in FORMATS[name].write(far)
