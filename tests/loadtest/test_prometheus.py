"""The plan's queries are read from a real Prometheus, over the time of a trial."""

import time
from collections.abc import Iterator

import pytest

from capplan.errors import ExitCode, SetupError, UsageError
from capplan.loadtest.job import Watching
from capplan.loadtest.probes.probe import Probe
from capplan.loadtest.probes.prometheus import Prometheus
from capplan.plan.schema import Metrics
from tests.loadtest.harness import free_port, says, server
from tests.loadtest.prometheus import Exporter, prometheus

pytestmark = pytest.mark.xdist_group("prometheus")  # one server for all of them

REMOTE = "http://192.0.2.1:80"
NOT_PROMETHEUS = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def exporter() -> Exporter:
    return Exporter(db_connections=7.0, share=0.4, percent=40.0, empty=float("nan"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, exporter: Exporter) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), exporter) as found:
        yield found


def test_each_query_is_one_number_over_the_time_asked_for(url):
    began_s = time.monotonic()
    asked = Prometheus(
        url,
        {
            "db": "db_connections",
            "twice": "2 * db_connections",
            "scalar": "scalar(db_connections)",
            "workers": "sum(shop_worker)",
            "rate": "rate(shop_cpu_seconds_total[$__range])",
            "nothing": "no_such_metric",
            "not a number": "empty",
            "several": "shop_worker",
        },
    )
    # from before the first scrape: what there was not is left out of the mean
    ago_s = time.monotonic() - began_s + 30.0
    found = asked.over(ago_s, 0.0)
    assert found["db"] == pytest.approx(7.0)
    assert found["twice"] == pytest.approx(14.0)
    assert found["scalar"] == pytest.approx(7.0)
    assert found["workers"] == pytest.approx(3.0)
    assert found["nothing"] is None
    assert found["not a number"] is None
    assert found["several"] is None
    # extrapolated by up to half a scrape on each side of what was seen of 30 s
    assert found["rate"] is not None
    assert 0.0 < found["rate"] <= 0.25 * 1.1


def test_a_time_at_which_there_was_no_prometheus_has_no_numbers(url):
    assert Prometheus(url, {"db": "db_connections"}).over(7200.0, 7190.0) == {"db": None}


def test_queries_that_can_be_used_pass_the_check_without_notes(url):
    queries = {"db": "db_connections", "cpu": "share", "none yet": "no_such_metric"}
    assert Prometheus(url, queries).check() == ()


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("sum(db_connections", "unclosed left parenthesis", "expression browser"),
        ("shop_worker", "it returns 2 series, not one number", "sum(…)"),
        ("db_connections[1m]", "it is a range of samples, not a number", "avg_over_time"),
        ('"text"', "it is a string, not a number", "rate(…)"),
        ("shop_worker * on() group_left shop_worker", "many-to-many", "expression browser"),
    ],
)
def test_a_query_that_is_not_one_number_is_refused_with_its_name(url, query, message, hint):
    with pytest.raises(UsageError) as error:
        Prometheus(url, {"workers": query}).check()
    assert error.value.message.startswith("service.metrics.queries.workers: ")
    assert message in error.value.message
    assert hint in error.value.hint
    assert error.value.exit_code == ExitCode.USAGE


def test_a_cpu_in_per_cent_is_refused_as_no_share(url):
    with pytest.raises(UsageError, match=r"queries\.cpu is 40: it has to be a share") as error:
        Prometheus(url, {"cpu": "percent"}).check()
    assert "by 100" in error.value.hint


def test_a_query_that_looks_back_over_several_trials_is_noted(url):
    (note,) = Prometheus(url, {"cpu": "rate(shop_cpu_seconds_total[1m30s])"}).check()
    assert note.code == "metrics_look_back"
    assert "1 min 30 s" in note.message
    assert "$__range" in note.advice


def test_where_nothing_answers_the_load_test_does_not_begin():
    with pytest.raises(SetupError, match="Prometheus does not answer at") as error:
        Prometheus(f"http://127.0.0.1:{free_port()}", {"db": "up"}).check()
    assert error.value.exit_code == ExitCode.ENVIRONMENT


def test_what_is_not_prometheus_is_told_from_it(url):
    with server(says(NOT_PROMETHEUS)) as other, pytest.raises(SetupError, match="not Prometheus"):
        Prometheus(other, {"db": "up"}).check()
    with pytest.raises(SetupError, match="answers 404"):
        Prometheus(f"{url}/elsewhere", {"db": "up"}).check()


# as part of the probe


def probe(url: str, limits: dict[str, float] | None = None, **queries: str) -> Probe:
    metrics = Metrics.model_validate({"prometheus": url, "queries": queries})
    return Probe.of(REMOTE, Watching(metrics=metrics, limits=limits or {}))


def test_a_remote_target_is_seen_by_its_metrics_and_its_cpu_may_be_limited(url):
    seen = probe(url, {"cpu": 0.85}, cpu="share", db="db_connections", none="no_such_metric")
    assert seen.seen.by == ("prometheus",)
    assert seen.notes == ()
    seen.begin(1.0)
    seen.sample(10.0)  # ten seconds have passed
    use = seen.use(9.0, 10.0)
    assert use is not None
    assert use.cpu == pytest.approx(0.4)
    assert use.metrics == {"db": pytest.approx(7.0), "none": None}
    (note,) = seen.missing
    assert note.code == "metrics_empty"
    assert "none" in note.message


def test_a_limit_on_what_is_not_seen_is_refused_before_the_load(url):
    with pytest.raises(UsageError, match=r"service\.max\.memory cannot be kept") as error:
        probe(url, {"memory": 0.9}, cpu="share")
    assert "--target-pid" in error.value.hint


def test_a_prometheus_that_goes_away_costs_its_numbers_and_not_the_trial(url):
    seen = probe(url, db="db_connections")
    seen.begin(1.0)
    seen.sample(0.0)
    seen._prometheus = Prometheus(f"http://127.0.0.1:{free_port()}", {"db": "db_connections"})
    assert seen.use(0.0, 1.0) is None
    (note,) = seen.missing
    assert note.code == "metrics_missing"
    assert "does not answer" in note.message
