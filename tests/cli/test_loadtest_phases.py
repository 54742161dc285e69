"""``capplan loadtest`` with phases, as a user runs it."""

import signal

import pytest

from capplan.cli.main import main
from capplan.loadtest.phases import asked
from capplan.model.service_time import Exponential
from capplan.refserver import RefServer, RefServerConfig
from capplan.results.capacity import Capacity
from capplan.results.store import from_json, read_result
from tests.cli.test_loadtest import children, run, start, wait_for


@pytest.fixture(scope="module")
def server():
    with RefServer(RefServerConfig(8, Exponential(0.01), lifetime_s=120)) as served:
        yield served


@pytest.mark.load
def test_phases_join_the_stored_answer(tmp_path, server, monkeypatch, capsys):
    stored = tmp_path / "sale.capplan" / "capacity.json"
    common = ("--target", server.url, "--max-rate", "40", "--time-budget", "20s")
    code, out, err = run(tmp_path, "--reuse", "--soak", "20s", *common)
    assert (code, out) == (2, "")
    assert "finds no stored capacity" in err

    # the answer is stored before the first phase begins, and survives its end
    with start(tmp_path, *common, "--opening", "--soak", "1 h") as process:
        wait_for(stored, process)
        inside = children(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted in the " in err
    assert "; the sustained rate is known" in err
    assert not any(child.is_running() for child in inside)
    first = read_result(stored, Capacity)
    assert first.verdict == "not_reached"
    assert not first.interrupted
    assert first.phases.opening is None

    code, _, err = run(tmp_path, *common, "--reuse")
    assert code == 2
    assert "--reuse without a phase would do nothing" in err

    # in this process, for a soak that is shorter than users may ask for
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(asked, "SHORTEST_SOAK_S", 4.0)
    code = main(["loadtest", "sale.yaml", "--reuse", "--soak", "4s", *common, "--json"])
    out, err = capsys.readouterr()
    result = from_json(out, Capacity, "stdout")
    assert code == 0
    assert "Soak of 4 s at " in err
    assert result.trials == first.trials  # nothing was searched again
    assert result.made_at == first.made_at
    assert result.phases.soak is not None
    assert [note.code for note in result.phases.notes] == ["rate_unsure"]
    assert result == read_result(stored, Capacity)

    code, _, err = run(tmp_path, "--reuse", "--soak", "20s", *common, "--sla", "p99<1s")
    assert code == 2
    assert "is of something else" in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--overload", "1.5x"), "--overload: '1.5x' is not of the form '1.5x for 20s'"),
        (("--overload", "1.5x for 20s then 2x"), "must be from 0.05x to less than 1x"),
        (("--soak", "10"), "--soak"),
        (("--soak", "1s"), "no drift can be told"),
    ],
)
def test_a_phase_that_cannot_be_read_is_refused_before_anything_runs(tmp_path, options, problem):
    code, out, err = run(tmp_path, "--target", "http://127.0.0.1:9", *options)
    assert (code, out) == (2, "")
    assert problem in err
