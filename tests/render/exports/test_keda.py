from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from croniter import croniter
from pydantic import ValidationError

from capplan.render.exports.keda import scaled_object
from capplan.render.exports.order import Order
from tests.render.exports.builders import order, trigger


def document(found: Order | None = None) -> dict[str, Any]:
    loaded = yaml.safe_load(scaled_object(found or order()))
    assert isinstance(loaded, dict)
    return loaded


def crons(found: Order | None = None) -> list[dict[str, str]]:
    triggers = document(found)["spec"]["triggers"]
    return [one["metadata"] for one in triggers if one["type"] == "cron"]


def asked(minute: datetime, found: Order) -> int:
    """The count that KEDA holds at a moment.

    A cron trigger is on when its next end comes before its next start; of several the largest
    count holds, and none is less than minReplicaCount.
    """
    counts: list[int] = [document(found)["spec"]["minReplicaCount"]]
    for one in crons(found):
        at = minute.astimezone(ZoneInfo(one["timezone"]))
        start, end = (croniter(one[key], at).get_next(datetime) for key in ("start", "end"))
        if end < start:
            counts.append(int(one["desiredReplicas"]))
    return max(counts)


@pytest.mark.parametrize(
    "found",
    [
        order(),
        order(trigger=trigger("cpu", 0.56)),
        order(prometheus="http://127.0.0.1:9090"),
    ],
    ids=["cron alone", "cpu", "prometheus"],
)
def test_the_object_is_what_the_resource_of_keda_takes(found: Order) -> None:
    written = document(found)
    read = ScaledObject.model_validate(written)
    # what the model does not know it drops: nothing may be missing
    assert read.model_dump(by_alias=True, exclude_unset=True, mode="json") == written


def test_a_number_where_keda_wants_a_string_would_be_found() -> None:
    written = document()
    written["spec"]["triggers"][0]["metadata"]["desiredReplicas"] = 27
    with pytest.raises(ValidationError, match="desiredReplicas"):
        ScaledObject.model_validate(written)


def test_between_the_steps_the_count_of_the_step_holds_and_today_before_and_after() -> None:
    found = order()
    held = [6, *(step.servers for step in found.steps)]
    edges = [step.at for step in found.steps]
    for before, after, moment in zip(held, held[1:], edges, strict=False):
        assert asked(moment - timedelta(seconds=1), found) == before
        assert asked(moment, found) == after
    assert asked(edges[0] - timedelta(days=30), found) == 6
    assert asked(edges[-1] + timedelta(days=30), found) == 6


def test_it_holds_over_the_turn_of_the_year() -> None:
    found = order(datetime(2027, 1, 1, 0, 10, tzinfo=UTC))
    assert asked(datetime(2026, 12, 31, 23, 59, tzinfo=UTC), found) == 27
    assert asked(datetime(2027, 1, 1, 0, 1, tzinfo=UTC), found) == 27


def test_the_file_says_that_cron_comes_back_every_year() -> None:
    assert "EVERY YEAR" in scaled_object(order())
    assert asked(order().steps[1].at.replace(year=2027), order()) == 27


def test_without_cpu_and_prometheus_the_file_says_what_to_add() -> None:
    text = scaled_object(order())
    assert "keeps 270.2 requests/s per Pod" in text
    assert all(one["type"] == "cron" for one in document()["spec"]["triggers"])
