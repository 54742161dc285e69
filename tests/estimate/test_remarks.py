import pytest

from tests.estimate.builders import CERTAIN, USUAL, channel, codes, demand_of, plan


@pytest.mark.parametrize(
    ("orders", "multiple", "noted"),
    [("18", "10", False), ("30", "5 to 20", False), ("90", "10", True), ("1", "5 to 20", True)],
)
def test_estimates_that_disagree_by_more_than_their_ranges_are_noted(orders, multiple, noted):
    usual = USUAL | {"orders_per_day": orders, "multiple": multiple}
    demand = demand_of(plan(channel(visits="0.8% to 1.25%"), usual=usual))
    assert ("estimates_disagree" in codes(demand)) == noted


def test_the_input_that_matters_most_comes_first_and_is_named():
    demand = demand_of(plan(channel(visits="0.1% to 3%", reach="700k to 800k")), 5000)
    assert demand.sensitivity[0].input == "ads: visits"
    assert demand.sensitivity[0].share > 0.95
    (note,) = (note for note in demand.notes if note.code == "find_out_first")
    assert "ads: visits" in note.message


def test_two_inputs_of_equal_range_matter_equally():
    visit = {"requests": "20 to 60", "duration": "5 min"}
    demand = demand_of(plan(channel(reach="20k to 60k"), visit=visit), 20_000)
    # 1,024 quasi-random points are good to .02
    assert {entry.input for entry in demand.sensitivity} == {"ads: reach", "visit.requests"}
    assert [entry.share for entry in demand.sensitivity] == pytest.approx([0.5, 0.5], abs=0.02)


def test_a_narrow_range_needs_no_finding_out():
    assert "find_out_first" not in codes(demand_of(plan(channel(reach="700k to 800k"))))


def test_the_stress_case_stands_beside_the_interval():
    demand = demand_of(plan(CERTAIN))
    (case,) = demand.stress
    assert case.peak_rps == pytest.approx(9.3 * 40)
    assert demand.peak_rps.p99 < case.peak_rps
    assert not case.in_range


def test_a_range_so_wide_that_it_contains_the_stress_case_is_not_said_to_lack_it():
    demand = demand_of(plan(channel(visits="0.01% to 60%")))
    (case,) = demand.stress
    assert case.in_range
    assert case.peak_rps <= demand.peak_rps.p95
    assert "stress" not in codes(demand)
    assert case.explained.endswith("; the range contains it")
