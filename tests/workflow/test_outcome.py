import codecs
from pathlib import Path

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.plan.load import load_plan
from capplan.results.demand import Demand
from capplan.results.store import read_result
from capplan.workflow import estimate, record_outcome

PLAN = """\
# keep me
sale: {name: Black Friday, start: 2020-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}]   # and me
visit: {requests: 20 to 60}
"""


def planned(folder: Path, text: str = PLAN) -> Path:
    plan = folder / "sale.yaml"
    plan.write_text(text)
    return plan


def test_an_outcome_is_written_down_and_placed_in_the_forecast(tmp_path):
    plan = planned(tmp_path)
    forecast = estimate(plan, draws=20_000)
    values = np.array(forecast.peak_quantiles_rps)
    came = record_outcome(plan, 1.2 * forecast.peak_rps.p50)
    assert came.ratio == pytest.approx(1.2)
    assert came.below == pytest.approx((values < 1.2 * forecast.peak_rps.p50).mean(), abs=1e-3)
    assert came.within_90
    assert came.sales == 1
    assert came.typical_ratio == pytest.approx(1.2)
    (past,) = load_plan(plan).plan.history
    assert past.name == "Black Friday 2020-11-27"
    assert past.actual / past.forecast == pytest.approx(1.2, rel=1e-4)
    text = plan.read_text()
    assert text.startswith(PLAN)
    assert text.splitlines()[came.line - 1] == f"  - {came.written}"


@pytest.mark.parametrize(("factor", "below"), [(1e-3, 0.0), (1e3, 1.0)])
def test_an_outcome_outside_the_range_is_noted(tmp_path, factor, below):
    plan = planned(tmp_path)
    forecast = estimate(plan, draws=1000)
    came = record_outcome(plan, factor * forecast.peak_rps.p50)
    assert came.below == below
    assert not came.within_90
    assert "outside" in {note.code for note in came.notes}


def test_the_next_estimate_knows_the_outcome(tmp_path):
    plan = planned(tmp_path)
    before = estimate(plan, draws=5000)
    record_outcome(plan, 3 * before.peak_rps.p50)
    after = estimate(plan, draws=5000)
    assert after.peak_rps.p50 > 1.2 * before.peak_rps.p50
    assert "history" in {note.code for note in after.notes}


def test_the_forecast_is_the_stored_one_whatever_the_plan_says_now(tmp_path):
    plan = planned(tmp_path)
    forecast = estimate(plan, draws=1000)
    plan.write_text(PLAN.replace("400k", "4M"))
    came = record_outcome(plan, forecast.peak_rps.p50)
    assert came.ratio == pytest.approx(1)
    assert read_result(tmp_path / "sale.capplan" / "demand.json", Demand) == forecast


def test_the_same_sale_is_not_recorded_twice(tmp_path):
    plan = planned(tmp_path)
    estimate(plan, draws=1000)
    record_outcome(plan, 500)
    text = plan.read_text()
    with pytest.raises(UsageError, match="recorded already"):
        record_outcome(plan, 600)
    assert plan.read_text() == text
    assert record_outcome(plan, 600, name="second evening").sales == 2


def test_a_sale_that_is_still_to_come_is_noted(tmp_path):
    plan = planned(tmp_path, PLAN.replace("2020", "2090"))
    estimate(plan, draws=1000)
    assert "before_the_sale" in {note.code for note in record_outcome(plan, 500).notes}


def test_byte_order_mark_line_ends_and_permissions_stay(tmp_path):
    plan = planned(tmp_path)
    data = codecs.BOM_UTF8 + PLAN.replace("\n", "\r\n").encode()
    plan.write_bytes(data)
    plan.chmod(0o600)
    estimate(plan, draws=1000)
    record_outcome(plan, 500)
    assert plan.read_bytes().startswith(data)
    assert plan.read_bytes().count(b"\n") == plan.read_bytes().count(b"\r\n")
    assert plan.stat().st_mode & 0o777 == 0o600


def test_a_plan_that_cannot_be_edited_safely_is_left_alone(tmp_path):
    plan = planned(tmp_path)
    plan.write_text(
        '{"sale": {"start": "2020-11-27T12:00:00+01:00", "duration": "2 h"}, "visit": {"requests":'
        ' "40"}, "audience": [{"channel": "a", "reach": "9k", "visits": "2%", "arrive": "evenly"}]}'
    )
    estimate(plan, draws=1000)
    text = plan.read_text()
    with pytest.raises(UsageError, match="was left as it is") as caught:
        record_outcome(plan, 500)
    assert "actual: 500 rps" in (caught.value.hint or "")
    assert plan.read_text() == text


def test_without_a_forecast_there_is_nothing_to_compare(tmp_path):
    with pytest.raises(UsageError, match="no forecast"):
        record_outcome(planned(tmp_path), 500)
    with pytest.raises(UsageError, match="standard input"):
        record_outcome("-", 500)


@pytest.mark.parametrize(("rate", "name"), [(0.0, None), (-5.0, None), (500.0, "a\nb")])
def test_an_outcome_that_makes_no_sense_is_refused(tmp_path, rate, name):
    plan = planned(tmp_path)
    estimate(plan, draws=1000)
    with pytest.raises(UsageError, match="is not an outcome"):
        record_outcome(plan, rate, name=name)
    assert plan.read_text() == PLAN
