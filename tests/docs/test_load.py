"""The manifests for Kubernetes in the documents: YAML, with commands that can be parsed."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import typer
import yaml

from capplan.cli.main import app

OPERATOR_PORT = 5557  # Locust's own, which the operator's Service forwards
TEXT = (Path(__file__).parents[2] / "docs" / "load.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def parsed(command: list[str]) -> dict[str, Any]:
    name, subcommand, *arguments = command
    assert name == "capplan"
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    params: dict[str, Any] = commands[subcommand].make_context(subcommand, arguments).params
    return params


def test_the_commands_of_the_manifest_can_be_parsed_and_meet_at_one_port():
    objects = list(yaml.safe_load_all(blocks("yaml")[0]))
    assert [o["kind"] for o in objects] == ["Service", "Job", "Job"]
    service, *jobs = objects
    containers = [job["spec"]["template"]["spec"]["containers"][0] for job in jobs]
    load, worker = (parsed(container["command"]) for container in containers)
    port = service["spec"]["ports"][0]["port"]
    assert containers[0]["ports"] == [{"containerPort": port}]
    assert worker["address"] == f"{service['metadata']['name']}:{port}"
    assert load["bind"] is None  # which is this port, on all addresses
    assert f"`--bind 10.0.0.5:{port}`" in TEXT
    assert load["expect_workers"] == jobs[1]["spec"]["parallelism"]
    assert service["spec"]["selector"] == jobs[0]["spec"]["template"]["metadata"]["labels"]


def test_the_entry_point_hands_what_the_locust_operator_says_to_capplan(tmp_path):
    """The operator appends these options of Locust to the commands of its object."""
    (manifest,) = (m for m in map(yaml.safe_load, blocks("yaml")[1:]) if m["kind"] == "LocustTest")
    said = manifest["spec"]
    count, host = said["worker"]["replicas"], f"{manifest['metadata']['name']}-master"
    port = f"--master-port={OPERATOR_PORT}"
    master = ["--master", port, f"--expect-workers={count}", "--autostart", "--autoquit", "60"]
    master += ["--enable-rebalancing", "--only-summary"]
    worker = ["--worker", port, f"--master-host={host}"]

    (entry_point,) = (text for text in blocks("sh") if text.startswith("#!/bin/sh"))
    (tmp_path / "entrypoint").write_text(entry_point)
    stand_in = tmp_path / "capplan"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" capplan "$@"\n')
    stand_in.chmod(0o755)

    def started(command: str, options: list[str]) -> dict[str, Any]:
        done = subprocess.run(
            ["sh", tmp_path / "entrypoint", *command.split(), *options],
            env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return parsed(done.stdout.splitlines())

    load = started(said["master"]["command"], master)
    assert str(load["plan"]) == "/sale/sale.yaml"
    assert (load["expect_workers"], load["bind"]) == (count, f"0.0.0.0:{OPERATOR_PORT}")
    assert (load["time_budget"], load["as_json"]) == ("4min", True)
    tagged = started(f"{said['master']['command']} -- --tags buy", master)
    assert (tagged["expect_workers"], list(tagged["script_options"])) == (count, ["--tags", "buy"])
    joined = started(said["worker"]["command"], worker)
    assert (joined["address"], joined["wait"]) == (f"{host}:{OPERATOR_PORT}", "10min")
    secret = re.search(r"create secret generic (\S+) --from-literal=CAPPLAN_TOKEN=", TEXT)
    assert secret is not None
    assert said["env"]["secretRefs"] == [{"name": secret[1]}]
