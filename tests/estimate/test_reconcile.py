import numpy as np
import pytest

from capplan.estimate import forecast
from capplan.estimate.reconcile import agreements
from tests.estimate.builders import CERTAIN, USUAL, WHOLE, channel, codes, demand_of, plan

# 7,200 visits from the audience, 14,400 from usual orders
TWICE = USUAL | {"orders_per_day": "36", "multiple": "8 to 12.5"}


def ways(some):
    return {way.input: way for way in demand_of(some).agreements}


def test_each_input_is_moved_until_the_two_agree():
    found = ways(plan(CERTAIN, usual=TWICE))
    assert found["usual.orders_per_day"].value == pytest.approx(18, rel=0.02)
    assert found["usual.multiple"].value == pytest.approx(5, rel=0.02)
    assert found["usual.conversion"].value == pytest.approx(0.05, rel=0.02)
    assert found["ads: reach"].value == pytest.approx(1.44e6, rel=0.02)
    assert found["ads: visits"].value == pytest.approx(0.02, rel=0.02)


def test_with_the_value_of_a_way_the_medians_do_agree():
    some = plan(**WHOLE)
    found = forecast(some, 1, 20_000)
    for way in agreements(some, found.inputs):
        name, _, key = way.input.partition(": ")
        if key != "reach":
            continue
        factor = way.value / np.sqrt(way.low * way.high)
        moved_to = " to ".join(f"{bound * factor:.9g}" for bound in (way.low, way.high))
        audience = [
            entry | ({"reach": moved_to} if entry["channel"] == name else {})
            for entry in WHOLE["audience"]
        ]
        moved = forecast(plan(**WHOLE | {"audience": audience}), 1, 20_000)
        assert moved.outcome.ratio is not None
        assert moved.inputs.multiple_visits is not None
        # the medians of what comes within usual.within; 4,000 draws put them within 3 %
        inside = np.median(moved.inputs.multiple_visits / moved.outcome.ratio)
        assert inside == pytest.approx(np.median(moved.inputs.multiple_visits), rel=0.05)


def test_the_most_plausible_way_stands_first_and_a_certain_input_last():
    # the multiple says 8 to 12.5, so 5 is far off; the click rate says .3 % to 3 %, so 2 % is not
    doubtful = channel(visits="0.33% to 3%")
    first, *_, last = demand_of(plan(doubtful, usual=TWICE), 4000).agreements
    assert first.input == "ads: visits"
    assert first.distance is not None
    assert first.distance < 2
    assert last.distance is None


def test_what_no_value_can_mend_is_left_out():
    # no conversion of more than all, no overlap of less than none
    usual = USUAL | {"orders_per_day": "1000", "conversion": "50%"}
    found = ways(plan(CERTAIN, channel(channel="push", reach="10"), usual=usual))
    assert found["usual.multiple"].value < 10
    more = USUAL | {"orders_per_day": "1"}
    found = ways(plan(CERTAIN, channel(channel="push", reach="10"), usual=more))
    # push brings next to nobody: without any of it the audience is still too large
    assert "push: reach" not in found
    assert "usual.conversion" in found
    assert "overlap" in found
    assert ways(plan(CERTAIN)) == {}


def test_the_note_names_the_input_that_would_reconcile_them():
    demand = demand_of(plan(CERTAIN, usual=TWICE | {"multiple": "9 to 11"}), 2000)
    (note,) = (note for note in demand.notes if note.code == "estimates_disagree")
    assert "usual.multiple at 5" in note.message
    assert "the plan says 9 to 11" in note.message
    assert note.advice == "check usual.multiple first"
    assert "estimates_disagree" not in codes(demand_of(plan(**WHOLE), 2000))
