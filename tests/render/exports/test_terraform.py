import json
from datetime import datetime
from typing import Any

import pygohcl
import pytest

from capplan.render.exports.order import Order
from capplan.render.exports.terraform import configuration
from tests.render.exports.aws_cli import refused
from tests.render.exports.builders import order, trigger

CPU = order(trigger=trigger("cpu", 0.56))


def parsed(found: Order | None = None) -> dict[str, Any]:
    """Read it with the parser of HCL that Terraform itself uses."""
    loaded = pygohcl.loads(configuration(found or order()))
    assert isinstance(loaded, dict)
    return loaded


def camel(key: str) -> str:
    return "".join(word.capitalize() for word in key.split("_"))


def test_each_step_is_a_resource_and_so_is_going_down() -> None:
    found = order()
    schedules = parsed(found)["resource"]["aws_autoscaling_schedule"]
    assert len(schedules) == len(found.steps)
    for i, step in enumerate(found.steps, start=1):
        one = schedules[f"capplan_{i}"]
        assert datetime.fromisoformat(one["start_time"]) == step.at
        assert one["start_time"].endswith("Z")
        # what is left out is set to 0 by the provider
        assert one["min_size"] == one["desired_capacity"] == step.servers
        assert one["max_size"] == 80
        assert "recurrence" not in one


def test_the_arguments_are_those_that_the_api_behind_the_resource_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"autoscaling_group_name": "AutoScalingGroupName"}
    for one in parsed()["resource"]["aws_autoscaling_schedule"].values():
        given = json.dumps({names.get(key, camel(key)): value for key, value in one.items()})
        call = ["put-scheduled-update-group-action", "--cli-input-json", given]
        assert refused(call, capsys) == ""


def test_the_group_is_a_variable() -> None:
    found = parsed(order(group='a "quoted" ${group} \\ %{if}'))
    variable = found["variable"]["autoscaling_group_name"]
    assert variable["default"] == 'a "quoted" ${group} \\ %{if}'


def test_the_policy_tracks_the_share_of_cpu() -> None:
    policy = parsed(CPU)["resource"]["aws_autoscaling_policy"]["capplan"]
    tracking = policy["target_tracking_configuration"]
    assert policy["policy_type"] == "TargetTrackingScaling"
    assert policy["estimated_instance_warmup"] == 360
    assert tracking["target_value"] == 56
    known = tracking["predefined_metric_specification"]["predefined_metric_type"]
    assert known == "ASGAverageCPUUtilization"


def test_a_policy_that_needs_a_label_is_left_to_be_filled_in() -> None:
    assert "aws_autoscaling_policy" not in parsed()["resource"]
    assert '#       resource_label         = "app/LOAD-BALANCER' in configuration(order())


def test_a_mistake_would_be_found() -> None:
    with pytest.raises(pygohcl.HCLParseError):
        pygohcl.loads(configuration(order()).replace('"\n}', "\n}", 1))


def test_it_stands_as_terraform_fmt_would_write_it() -> None:
    for line in configuration(CPU).splitlines():
        assert line == line.rstrip()
        assert "\t" not in line
