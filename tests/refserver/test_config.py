import math
from dataclasses import replace
from typing import Any

import pytest

from capplan.errors import UsageError
from capplan.model.service_time import Deterministic, Exponential, Hyperexponential, Lognormal
from capplan.refserver import RefServerConfig, parse_service


def config(**changes: Any) -> RefServerConfig:
    return replace(RefServerConfig(4, Exponential(0.02)), **changes)


@pytest.mark.parametrize(
    "service",
    [Exponential(0.02), Deterministic(0.1), Lognormal(0.02, 1.5), Hyperexponential(0.02, 2.0)],
    ids=str,
)
def test_a_configuration_survives_its_json(service):
    original = config(service=service, port=8899, seed=7, fail_above_rps=120.0, lifetime_s=5.0)
    assert RefServerConfig.from_json(original.to_json()) == original


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_addresses_may_be_served(host):
    assert config(host=host).address != "localhost"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com", "", "127.0.0.1 "])
def test_no_other_address_is_ever_served(host):
    with pytest.raises(UsageError) as caught:
        config(host=host)
    assert repr(host) in caught.value.message
    assert "127.0.0.1" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"slots": 0}, "0 slots"),
        ({"slots": 2.5}, "2.5 slots"),
        ({"port": 65_536}, "port 65536"),
        ({"port": -1}, "port -1"),
        ({"seed": -1}, "seed -1"),
        ({"fail_above_rps": 0.0}, "above 0.0 rps"),
        ({"fail_above_rps": math.nan}, "above nan rps"),
        ({"fail_share": 1.5}, "share of 1.5"),
        ({"lifetime_s": 0.0}, "lifetime of 0.0 s"),
        ({"lifetime_s": math.inf}, "lifetime of inf s"),
    ],
    ids=str,
)
def test_an_impossible_setting_is_refused_with_its_value(changes, named):
    with pytest.raises(UsageError) as caught:
        config(**changes)
    assert named in caught.value.message
    assert caught.value.hint


def test_a_service_time_that_cannot_be_is_the_users_error():
    assert parse_service("lognormal", 0.02, 1.0) == Lognormal(0.02, 1.0)
    with pytest.raises(UsageError) as caught:
        parse_service("lognormal", 0.02, -1.0)
    assert "cv=-1.0" in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "4", "{}", '{"service": 3}', '{"colour": "red"}'])
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(UsageError) as caught:
        RefServerConfig.from_json(text)
    assert "not a reference server's configuration" in caught.value.message
