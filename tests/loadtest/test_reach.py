"""What the generator's machine has too little of."""

import resource

import pytest

from capplan.errors import ExitCode, SetupError
from capplan.loadtest.evaluate import evaluate
from capplan.loadtest.reach import reach, without_means
from capplan.loadtest.validity import Held, Usage, judge
from capplan.model.service_time import Deterministic
from capplan.refserver import RefServer, RefServerConfig
from tests.loadtest.harness import SLA, engine, recording, script, spec, to_the_end

MANY = 10**6


@pytest.mark.parametrize(
    ("files", "ports", "processes", "users", "because"),
    [
        (MANY, 28_232, 1, 5000, ""),
        (1_024, 28_232, 1, 924, "a process may open 1,024 files"),
        (1_024, 28_232, 4, 3_696, "a process may open 1,024 files"),
        (1_024, 28_232, 16, 5000, ""),
        (MANY, 1_000, 4, 900, "the machine has 1,000 ports for connections to one address"),
    ],
)
def test_the_pool_is_as_large_as_files_and_ports_let_it(files, ports, processes, users, because):
    found = reach(files, ports, processes)
    assert (found.users, found.because) == (users, because)
    assert bool(found.advice) == bool(because)


@pytest.mark.parametrize(("files", "ports"), [(140, 28_232), (100, 28_232), (MANY, 50)])
def test_where_no_load_is_possible_it_is_refused_before_the_start(files, ports):
    with pytest.raises(SetupError, match="the load generator cannot work") as refused:
        reach(files, ports, 1)
    assert refused.value.exit_code is ExitCode.ENVIRONMENT
    assert refused.value.hint


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("GET /a: [Errno 24] Too many open files", "out_of_files"),
        ("GET /a: [Errno 99] Cannot assign requested address", "out_of_ports"),
        ("GET /a: [Errno 111] Connection refused", None),
    ],
)
def test_what_the_generator_could_not_open_is_no_failure_of_the_target(error, code):
    made = recording([0.01] * 50 + [0.0] * 50, [0] * 50 + [1] * 50, errors={error: 50})
    found = without_means(evaluate(made, "probe", 0.0, SLA, {}, Usage()))
    assert found.outcome == ("invalid" if code else "fail")
    assert [note.code for note in found.notes] == ([code] if code else [])


def test_a_pool_that_cannot_grow_any_more_is_a_limit_and_not_too_small():
    """Half of the arrivals found no user, and the target was quick: on to a larger pool, or not."""
    late = [0.0, 1.0] * 50
    made = recording([0.01] * 100, lateness_s=late, starved=50, users=900)
    found = evaluate(made, "probe", 0.0, SLA, {}, Usage())
    assert [note.code for note in found.notes] == ["pool_too_small"]
    capped = found.health.model_copy(update={"most_users": 900})
    held = Held(intended=False, actual=True, without_lateness=True)
    outcome, notes = judge(held, capped, (), ended_early=False)
    assert (outcome, [note.code for note in notes]) == ("invalid", ["pool_limit"])
    assert "900 users are the most there are" in notes[0].message


@pytest.mark.load
def test_a_child_may_open_as_many_files_as_the_machine_allows(tmp_path):
    body = """
    import resource

    class Buyer(FastHttpUser):
        @task
        def t(self):
            self.client.get("/a", name=str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with (
            RefServer(RefServerConfig(8, Deterministic(0.001), lifetime_s=60.0)) as target,
            engine(script(tmp_path, body), target.url) as child,
        ):
            made = child.trial(spec(), to_the_end)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert made.endpoints == [f"GET {hard}"]
