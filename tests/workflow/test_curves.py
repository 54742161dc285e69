import json
from pathlib import Path

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.results.traffic import Traffic
from capplan.workflow import estimate
from capplan.workflow.demand import current_demand
from capplan.workflow.shelf import open_plan

PLAN = """
sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}
audience: [{channel: all, reach: 720k, visits: 1%, arrive: FILE}]
visit: {requests: 40, duration: 5 min}
gusts: 0%
"""


def written(folder: Path, curve: str, name: str = "curves/launch.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(curve)
    plan = folder / "sale.yaml"
    plan.write_text(PLAN.replace("FILE", name))
    return plan


@pytest.mark.parametrize(
    "text",
    [
        "t_s,visits\n0,3\n3600,1\n",
        "0,3\n3600,1\n",
        "t_s;visits\n0;3\n3600;1\n",
        "\ufefft_s,visits,remark\n# by the minute\n0, 3 ,busy\n\n3600,1e0,\n",
    ],
)
def test_the_users_own_curve_gives_the_shape(tmp_path, text):
    # 7,200 visits, three quarters of them in the first hour: 1.5 a second, 40 requests each
    demand = estimate(written(tmp_path, text), draws=1000)
    assert demand.visits_total.p50 == pytest.approx(7200)
    assert demand.peak_rps.p50 == pytest.approx(60, rel=0.01)
    later = demand.profile.rps_p50[np.searchsorted(demand.profile.t_s, 5000)]
    assert later == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("0,0\n60,500\n300,1500\n3600,3000\n", True),
        ("0,5\n60,5\n120,5\n180,5\n", False),
        ("0,0\n60,500\n300,1500\n3600,3000\n7200,0\n", False),
        ("0,1\n60,2\n120,3\n", False),
    ],
)
def test_a_curve_that_looks_like_a_running_total_is_asked_about(tmp_path, text, noted):
    notes = {note.code for note in estimate(written(tmp_path, text), draws=1000).notes}
    assert ("curve_never_falls" in notes) == noted


def test_a_row_is_the_rate_until_the_next_however_far_that_is(tmp_path):
    # a minute at three times the rate of the two hours after it, not three times as many visits
    demand = estimate(written(tmp_path, "0,3\n60,1\n7260,0\n14460,0\n"), draws=1000)
    rate_per_s = 7200 / (3 * 60 + 7200)
    settled = demand.profile.rps_p50[np.searchsorted(demand.profile.t_s, 5000)]
    assert settled == pytest.approx(rate_per_s * 40, rel=0.01)


def test_a_curve_may_begin_before_the_start(tmp_path):
    demand = estimate(written(tmp_path, "-1800,1\n0,0\n"), draws=1000)
    assert demand.profile.t_s[0] < -1800
    assert demand.peak_at_s < 0
    assert demand.peak_rps.p50 == pytest.approx(7200 / 1800 * 40, rel=0.01)


def test_an_earlier_sale_gives_the_shape(tmp_path):
    old = estimate(written(tmp_path, "0,3\n3600,1\n"), draws=1000)
    traffic = Traffic(
        plan=old.plan, made_at=old.made_at, seed=1, environment={},
        profile={"t_s": (0.0, 3600.0), "rps": (300.0, 100.0)},
    )  # fmt: skip
    again = estimate(written(tmp_path, traffic.model_dump_json(), "old/traffic.json"), draws=1000)
    assert again.peak_rps.p50 == pytest.approx(old.peak_rps.p50, rel=1e-6)
    assert json.loads(traffic.model_dump_json())["schema"] == "capplan.traffic/1"


def test_a_changed_curve_makes_the_estimate_anew(tmp_path):
    plan = written(tmp_path, "0,3\n3600,1\n")
    kept = estimate(plan, draws=1000)
    assert current_demand(*open_plan(plan), 1) == (kept, ())
    written(tmp_path, "0,1\n3600,1\n")
    made, (note,) = current_demand(*open_plan(plan), 1)
    assert made.peak_rps.p50 < kept.peak_rps.p50
    assert "the curve curves/launch.csv changed since" in note.message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("t_s,visits\n0,3\nten,1\n", "launch.csv:3: 'ten, 1' is not two numbers"),
        ("0,3\n", "needs two times or more"),
        ("", "needs two times or more"),
        ("0\n1\n", "launch.csv:2: '1' is not two numbers"),
        ("10,3\n5,1\n", "launch.csv:2: the time 5 does not come after 10"),
        ("0,0\n5,0\n", "not all zero"),
        ("0,nan\n5,nan\n", "is not two numbers"),
        ("0,1\n5,-1\n", "must not be negative"),
        ('0,"1\n5,1\n', "CSV"),
    ],
)
def test_a_curve_that_cannot_be_read_is_named_with_its_line(tmp_path, text, complaint):
    with pytest.raises(UsageError) as caught:
        estimate(written(tmp_path, text), draws=1000)
    assert "launch.csv" in caught.value.message
    assert complaint in caught.value.message
    assert caught.value.hint


def test_a_curve_that_is_not_there_is_named(tmp_path):
    plan = written(tmp_path, "0,1\n1,1\n")
    (tmp_path / "curves" / "launch.csv").unlink()
    with pytest.raises(UsageError, match=r"launch\.csv does not exist"):
        estimate(plan, draws=1000)


def test_a_result_of_another_kind_is_no_curve(tmp_path):
    plan = written(tmp_path, '{"schema": "capplan.demand/1"}', "demand.json")
    with pytest.raises(UsageError, match=r"where capplan\.traffic/1 is needed") as caught:
        estimate(plan, draws=1000)
    assert caught.value.hint == "name another file"  # no command makes one
