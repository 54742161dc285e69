import json
from datetime import UTC, datetime, timedelta
from typing import Any

import kubernetes_validate
import pytest
import yaml
from croniter import croniter

from capplan.errors import UsageError
from capplan.render.exports.kubernetes import manifests
from capplan.render.exports.order import Order
from tests.render.exports.builders import START, order, trigger

VERSIONS = ["1.27", "1.37"]


def documents(found: Order | None = None) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifests(found or order())))


def of_kind(kind: str, found: Order | None = None) -> list[dict[str, Any]]:
    return [one for one in documents(found) if one["kind"] == kind]


def kubectl(job: dict[str, Any]) -> list[str]:
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    command = container["command"]
    assert command[0] == "kubectl"
    return list(command[1:])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("metric", ["cpu", "requests"])
def test_every_document_is_what_the_api_of_kubernetes_takes(metric: Any, version: str) -> None:
    found = order(trigger=trigger(metric, 0.56 if metric == "cpu" else 270.2))
    for document in documents(found):
        # strict: a key that the API does not know is an error
        kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_key_would_be_found() -> None:
    document = documents()[0]
    document["spec"]["minReplica"] = document["spec"].pop("minReplicas")
    with pytest.raises(kubernetes_validate.ValidationError, match="minReplica"):
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_each_step_moves_the_lower_bound_at_its_minute_in_utc() -> None:
    found = order()
    jobs = of_kind("CronJob", found)[:-1]
    assert len(jobs) == len(found.steps)
    for job, step in zip(jobs, found.steps, strict=True):
        assert job["spec"]["timeZone"] == "Etc/UTC"
        before = datetime(2026, 11, 20, tzinfo=UTC)
        assert croniter(job["spec"]["schedule"], before).get_next(datetime) == step.at
        command = kubectl(job)
        assert command[:3] == ["patch", "hpa", "shop"]
        (patch,) = (word for word in command if word.startswith("--patch="))
        assert json.loads(patch.removeprefix("--patch=")) == {"spec": {"minReplicas": step.servers}}


def test_a_step_that_is_on_another_day_in_utc_is_on_that_day() -> None:
    midnight = datetime.fromisoformat("2027-01-01T00:30:00+09:00")
    job = of_kind("CronJob", order(midnight))[0]
    assert job["spec"]["schedule"] == "5 15 31 12 *"


def test_the_last_job_removes_all_of_them_before_they_come_back_in_a_year() -> None:
    jobs = of_kind("CronJob")
    command = kubectl(jobs[-1])
    assert command[:2] == ["delete", "cronjob"]
    assert {job["metadata"]["name"] for job in jobs} <= set(command)
    when = croniter(jobs[-1]["spec"]["schedule"], START.astimezone(UTC)).get_next(datetime)
    assert when > order().steps[-1].at
    assert when < START + timedelta(days=1)


def test_the_account_may_do_what_the_jobs_do_and_no_more() -> None:
    (role,) = of_kind("Role")
    jobs = of_kind("CronJob")
    rights = {rule["resources"][0]: rule for rule in role["rules"]}
    assert rights["horizontalpodautoscalers"]["resourceNames"] == ["shop"]
    assert rights["horizontalpodautoscalers"]["verbs"] == ["get", "patch"]
    assert rights["cronjobs"]["resourceNames"] == [job["metadata"]["name"] for job in jobs]
    assert rights["cronjobs"]["verbs"] == ["get", "delete"]
    accounts = {
        job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] for job in jobs
    }
    (account,) = of_kind("ServiceAccount")
    assert accounts == {account["metadata"]["name"]}


def test_the_autoscaler_keeps_the_trigger_between_today_and_the_quota() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler", order(trigger=trigger("cpu", 0.56)))
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (6, 80)
    assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 56
    (scaler,) = of_kind("HorizontalPodAutoscaler", order(trigger=trigger(value=0.25)))
    assert scaler["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == "250m"


def test_names_are_short_enough_for_a_job_of_a_cron_job() -> None:
    for job in of_kind("CronJob", order(sale="x" * 80)):
        assert len(job["metadata"]["name"]) <= 52


@pytest.mark.parametrize("group", ["My Shop", "shop_1", "-shop", "x" * 64, "Shop"])
def test_a_group_that_no_deployment_can_be_called_is_refused(group: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a Deployment"):
        manifests(order(group=group))
