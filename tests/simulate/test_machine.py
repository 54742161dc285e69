"""The machine code does what the functions of the kernel do as plain Python, bit for bit."""

import numpy as np
import pytest

from capplan.plan.saleday import PROTECTIONS
from capplan.simulate.acts import ATTACK, Script, stage
from capplan.simulate.kernel import loop, machine
from capplan.simulate.kernel.setup import build
from tests.simulate.test_play import sale

MORE = {
    "connections": "40",
    "throttle": "2",
    "refreshers": {"share": "30%"},
    "slow": {"share": "5%", "factor": "8"},
    "downstream": [{"name": "database", "slots": "6", "service_time": "5 ms"}],
}
PLAIN = ("waf", "per-source-limit", "cache", "concurrency-limit", "priorities", "queue-bound")


@pytest.mark.parametrize(("more", "protections"), [({}, PLAIN), (MORE, PROTECTIONS)])
def test_the_machine_code_does_what_the_functions_say(more, protections):
    scene = sale({"surprise": "2.5", **more})
    setup = stage(scene, Script(ATTACK, 2.5, True, 2, protections), 1)
    made, read = build(setup), build(setup)
    until_s = 0.3
    assert bool(made.record["plain"]) == (not more)
    assert machine.run(made, until_s) == loop.DONE
    with np.errstate(over="ignore", divide="ignore"):  # as in machine code
        assert loop.run(read.record, until_s) == loop.DONE
    assert made.tables["counts"].sum() > 100
    for name, table in made.tables.items():
        np.testing.assert_array_equal(table, read.tables[name], name)
