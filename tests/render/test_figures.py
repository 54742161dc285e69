"""The pictures of the report, read back from their paths."""

import re

from capplan.recommend import recommend
from capplan.render.html import figures
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
