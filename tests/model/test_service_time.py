import math

import numpy as np
import pytest
from scipy.integrate import quad

from capplan.model.service_time import (
    KINDS,
    Deterministic,
    Exponential,
    Hyperexponential,
    Lognormal,
    ServiceTime,
    service_time,
)

ALL: list[ServiceTime] = [
    Exponential(0.02),
    Deterministic(0.02),
    Lognormal(0.02, 0.5),
    Lognormal(0.02, 1.0),
    Hyperexponential(0.02, 1.5),
]


@pytest.mark.parametrize("service", ALL, ids=str)
def test_the_mean_is_the_area_under_the_tail(service):
    # E[S] = ∫ P(S > t) dt; 100 means leave out less than 1e-8 of each of these distributions
    area, _ = quad(service.tail, 0, 100 * 0.02, points=[0.005, 0.02, 0.1], limit=500)
    assert area == pytest.approx(0.02, rel=1e-6)


@pytest.mark.parametrize("service", ALL, ids=str)
def test_the_second_moment_under_the_tail_gives_the_cv(service):
    # E[S²] = ∫ 2t·P(S > t) dt
    moment, _ = quad(
        lambda t: 2 * t * service.tail(t), 0, 100 * 0.02, points=[0.005, 0.02, 0.1], limit=500
    )
    assert math.sqrt(moment / 0.02**2 - 1 + 1e-12) == pytest.approx(service.cv, abs=1e-4)


@pytest.mark.parametrize("service", ALL, ids=str)
def test_samples_have_the_mean_that_the_distribution_claims(service):
    n = 200_000
    sample = service.sample(np.random.default_rng(1), n)
    assert sample.shape == (n,)
    # four standard errors of a mean of independent draws
    assert abs(sample.mean() - 0.02) <= 4 * 0.02 * service.cv / math.sqrt(n) + 1e-15


@pytest.mark.parametrize("service", ALL, ids=str)
@pytest.mark.parametrize("means", [0.2, 0.99, 1.01, 3.0])
def test_samples_exceed_a_time_as_often_as_the_tail_says(service, means):
    n = 200_000
    t_s = means * 0.02
    share = float(np.mean(service.sample(np.random.default_rng(2), n) > t_s))
    expected = service.tail(t_s)
    # four standard deviations of a binomial share
    assert abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def test_the_two_kinds_of_a_hyperexponential_share_the_work_evenly():
    service = Hyperexponential(1.0, 2.0)
    short = (1 + math.sqrt(3 / 5)) / 2
    late = service.tail(100.0)
    # far out only the long kind is left: share 1−p, mean 1/(2(1−p))
    assert late == pytest.approx((1 - short) * math.exp(-100 * 2 * (1 - short)))


def test_the_same_seed_draws_the_same_services():
    for service in ALL:
        first, second = (service.sample(np.random.default_rng(3), 50) for _ in range(2))
        assert first.tolist() == second.tolist()


def test_each_kind_is_made_by_its_name():
    made = [service_time(kind, 0.02, {"lognormal": 1.0, "hyperexponential": 2.0}.get(kind))
            for kind in KINDS]  # fmt: skip
    assert [service.kind for service in made] == list(KINDS)
    assert service_time("exponential", 0.02, 1.0) == Exponential(0.02)


@pytest.mark.parametrize(
    ("kind", "mean_s", "cv", "named"),
    [
        ("pareto", 0.02, None, "'pareto'"),
        ("exponential", 0.0, None, "mean_s=0.0"),
        ("deterministic", math.nan, None, "mean_s=nan"),
        ("lognormal", -1.0, 1.0, "mean_s=-1.0"),
        ("lognormal", 0.02, 0.0, "cv=0.0"),
        ("lognormal", 0.02, math.inf, "cv=inf"),
        ("lognormal", 0.02, None, "needs its cv"),
        ("hyperexponential", 0.02, 1.0, "cv=1.0"),
        ("exponential", 0.02, 2.0, "cv=2.0"),
        ("deterministic", 0.02, 1.0, "cv=1.0"),
    ],
)
def test_an_impossible_service_time_is_refused_by_name(kind, mean_s, cv, named):
    with pytest.raises(ValueError) as caught:
        service_time(kind, mean_s, cv)
    assert named in str(caught.value)
