import json
import os
import shlex
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from capplan.render.exports.aws import action_names, commands
from capplan.render.exports.order import Order
from tests.render.exports.aws_cli import refused
from tests.render.exports.builders import order, trigger

CPU = order(trigger=trigger("cpu", 0.56))


def spoken(text: str) -> list[list[str]]:
    """The commands that the shell would run."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if not line.startswith("#")]
    return [words for line in lines if (words := shlex.split(line))][1:]


def operations(found: Order) -> list[tuple[str, dict[str, str]]]:
    calls = []
    for program, service, operation, *options in spoken(commands(found)):
        assert (program, service) == ("aws", "autoscaling")
        names = [option.removeprefix("--") for option in options[::2]]
        calls.append((operation, dict(zip(names, options[1::2], strict=True))))
    return calls


@pytest.mark.parametrize("found", [order(), CPU], ids=["requests", "cpu"])
def test_the_cli_of_aws_takes_every_command(
    found: Order, capsys: pytest.CaptureFixture[str]
) -> None:
    for _, _, *arguments in spoken(commands(found)):
        assert refused(arguments, capsys) == ""


def test_the_cli_of_aws_would_find_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, *arguments = spoken(commands(order()))[0]
    assert "Invalid type for parameter StartTime" in refused(
        ["soon" if "T10:35" in word else word for word in arguments], capsys
    )
    assert "--min-sice" in refused([word.replace("size", "sice") for word in arguments], capsys)


def test_each_step_is_an_action_and_so_is_going_down() -> None:
    found = order()
    scheduled = [options for _, options in operations(found)]
    assert len(scheduled) == len(found.steps)
    for action, step in zip(scheduled, found.steps, strict=True):
        assert datetime.fromisoformat(action["start-time"]) == step.at
        assert action["start-time"].endswith("Z")
        assert action["min-size"] == action["desired-capacity"] == str(step.servers)
        assert action["max-size"] == "80"
        assert "recurrence" not in action
    assert scheduled[-1]["desired-capacity"] == "6"
    assert len({action["scheduled-action-name"] for action in scheduled}) == len(scheduled)


def test_the_trigger_is_per_cent_of_cpu_or_requests_per_minute() -> None:
    *_, (operation, options) = operations(CPU)
    assert operation == "put-scaling-policy"
    tracking = json.loads(options["target-tracking-configuration"])
    assert tracking["TargetValue"] == 56
    # 270.2 requests/s; the label of the load balancer is not known, so the command is a comment
    text = commands(order())
    assert '"TargetValue": 16212.0' in text
    assert all(operation != "put-scaling-policy" for operation, _ in operations(order()))


def test_a_group_is_quoted() -> None:
    found = order(group="it's $(reboot); #1")
    for _, options in operations(found):
        assert options["auto-scaling-group-name"] == "it's $(reboot); #1"


def test_the_file_says_how_to_undo_each_action() -> None:
    text = commands(order())
    for name in action_names(order()):
        assert (
            f"delete-scheduled-action --auto-scaling-group-name shop --scheduled-action-name {name}"
            in text
        )


def test_the_shell_runs_the_script_to_its_end(tmp_path: Path) -> None:
    shim = tmp_path / "aws"
    shim.write_text('#!/bin/sh\nprintf "%s|" "$@" >>"$LOG"; echo >>"$LOG"\n')
    shim.chmod(0o755)
    script, log = tmp_path / "aws-asg.sh", tmp_path / "log"
    script.write_text(commands(CPU), "utf-8")
    subprocess.run(
        ["/bin/sh", str(script)],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log)},
        check=True,
    )
    ran = [line.removesuffix("|").split("|") for line in log.read_text("utf-8").splitlines()]
    assert ran == [words[1:] for words in spoken(commands(CPU))]
