"""The manifest for Kubernetes in the documents: it is YAML, and its commands can be parsed."""

import re
from pathlib import Path

import typer
import yaml

from capplan.cli.main import app

TEXT = (Path(__file__).parents[2] / "docs" / "load.md").read_text()


def test_the_commands_of_the_manifest_can_be_parsed_and_meet_at_one_port():
    found = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    objects = list(yaml.safe_load_all(found[1]))
    assert [o["kind"] for o in objects] == ["Service", "Job", "Job"]
    service, *jobs = objects
    containers = [job["spec"]["template"]["spec"]["containers"][0] for job in jobs]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    parsed = []
    for container in containers:
        name, subcommand, *arguments = container["command"]
        assert name == "capplan"
        parsed.append(commands[subcommand].make_context(subcommand, list(arguments)).params)
    load, worker = parsed
    port = service["spec"]["ports"][0]["port"]
    assert containers[0]["ports"] == [{"containerPort": port}]
    assert worker["address"] == f"{service['metadata']['name']}:{port}"
    assert load["bind"] is None  # which is this port, on all addresses
    assert f"`--bind 10.0.0.5:{port}`" in TEXT
    assert load["expect_workers"] == jobs[1]["spec"]["parallelism"]
    assert service["spec"]["selector"] == jobs[0]["spec"]["template"]["metadata"]["labels"]
