"""What the command line says when the target's side cannot be watched as it was asked."""

import pytest

from capplan.errors import CapplanError, ExitCode
from capplan.workflow.measuring import loadtest
from capplan.workflow.paired import paired
from capplan.workflow.preparing import Overrides
from tests.cli.test_loadtest import PLAN, SCRIPT
from tests.loadtest.harness import OK, free_port, says, server


def plan(folder, service: str):
    path = folder / "sale.yaml"
    path.write_text(PLAN.replace("users.py,", f"users.py, {service},"))
    (folder / "users.py").write_text(SCRIPT)
    return path


def refused(folder, service: str, **options: object) -> CapplanError:
    """Ask for a load test that must not send a single request."""
    received = []

    def answer(connection):
        received.append(1)
        connection.sendall(OK)

    with server(answer) as url, pytest.raises(CapplanError) as error:
        loadtest(plan(folder, service), overrides=Overrides(target=url, **options))  # type: ignore[arg-type] # by name
    assert received == []
    return error.value


def test_a_prometheus_that_does_not_answer_ends_the_load_test_before_the_load(tmp_path):
    error = refused(
        tmp_path,
        f"metrics: {{prometheus: 'http://127.0.0.1:{free_port()}', queries: {{db: up}}}}",
    )
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "Prometheus does not answer" in error.message


def test_what_answers_in_its_place_is_told_from_it(tmp_path):
    with server(says(OK)) as other:
        error = refused(tmp_path, f"metrics: {{prometheus: '{other}', queries: {{db: up}}}}")
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert "is not Prometheus" in error.message


def test_an_id_that_no_process_has_is_refused(tmp_path):
    error = refused(tmp_path, "unit: task", target_pids=(2**22 + 1,))
    assert error.exit_code == ExitCode.USAGE
    assert "no process with the id 4194305" in error.message


def test_an_id_does_not_go_with_two_targets(tmp_path):
    with pytest.raises(CapplanError, match="--target-pid does not go with --paired") as error:
        paired(
            plan(tmp_path, "unit: task"),
            "http://127.0.0.1:1",
            "http://127.0.0.1:2",
            overrides=Overrides(target_pids=(1,)),
        )
    assert error.value.exit_code == ExitCode.USAGE
