"""The pictures of the report, read back from their paths."""

import math
import re

import pytest

from capplan.recommend import recommend
from capplan.render.html import figures
from capplan.render.html.svg import thinned
from tests.recommend.builders import certain, demand, plan, provenance


def test_a_fleet_of_another_kind_goes_back_to_what_todays_servers_carry() -> None:
    # six servers ten times as fast take the place of the six of today
    kind = {"name": "huge", "price": "$0.30/h", "relative_speed": "10"}
    result = recommend(plan({"alternatives": [kind]}), demand(), certain(200.0), provenance())
    assert (result.servers, result.instance) == (6, "huge")
    assert [step.fleet_rps for step in result.schedule] == [12_000, 1_200]
    picture = figures.traffic(demand(), result)
    (line,) = re.findall(r'class="line fleet" d="M([^"]+)"', picture)
    heights = [float(point.split(",")[1]) for point in line.split("L")]
    # down is up in a picture
    assert heights[-1] > min(heights)


def test_the_picture_begins_before_the_servers_serve_and_says_what_they_carry() -> None:
    result = recommend(plan({"today": "6"}), demand(), certain(386.0), provenance())
    picture = figures.traffic(demand(), result)
    (line,) = re.findall(r'class="line fleet" d="M([^"]+)"', picture)
    across = [float(point.split(",")[0]) for point in line.split("L")]
    assert across[0] < across[1]  # today's servers are seen first
    assert result.chosen.fleet_rps == 27 * 386
    assert ">27 carry 10,400 rps<" in picture


@pytest.mark.parametrize("points", [1_000, 100_000])
def test_a_line_keeps_its_ends_and_extremes_whatever_the_number_of_points(points: int) -> None:
    places = [
        (400 * i / points, 100 + 50 * math.sin(i / 9) * math.sin(i / 5000)) for i in range(points)
    ]
    places[points // 2] = (places[points // 2][0], 3.0)  # one spike
    kept = thinned(places)
    assert len(kept) <= 4 * 400
    assert (kept[0], kept[-1]) == (places[0], places[-1])
    assert set(kept) <= set(places)
    assert min(y for _, y in kept) == 3.0
    assert max(y for _, y in kept) == max(y for _, y in places)
