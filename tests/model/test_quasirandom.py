import sys
from subprocess import run

import numpy as np
import pytest
from scipy.stats import qmc

from capplan.model.quasirandom import sobol


@pytest.mark.parametrize("dimensions", range(1, 12))
@pytest.mark.parametrize("power", [0, 1, 7, 13])
def test_the_points_are_those_of_scipy_half_a_step_inside_the_cube(dimensions, power):
    theirs = qmc.Sobol(dimensions, scramble=False).random_base2(power).T
    assert np.array_equal(sobol(dimensions, power), theirs + 0.5 / 2**power)


def test_a_decision_loads_no_statistics():
    """They would take longer to load than all the rest of the command."""
    asked = (
        "import sys; from capplan.workflow import recommend, gate; "
        "from capplan.recommend import recommend; from capplan.gate import judge; "
        "from capplan.results.scaling import laws; "
        "sys.exit('scipy.stats' in sys.modules)"
    )
    assert run([sys.executable, "-c", asked], check=False).returncode == 0
