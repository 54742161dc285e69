import contextlib
import json
import os
import stat
import types
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from capplan import __version__
from capplan.errors import SetupError, UsageError
from capplan.plan.sla import Sla, parse_sla
from capplan.results.base import PlanRef, Provenance, Result
from capplan.results.capacity import Capacity
from capplan.results.demand import Demand
from capplan.results.recommendation import Recommendation
from capplan.results.store import (
    check_writable,
    from_json,
    read_result,
    to_json,
    write_result,
    write_text,
)
from capplan.results.verdict import Check, Verdict

KINDS: list[type[Result]] = [Demand, Capacity, Recommendation, Verdict]

FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ATOMS: dict[Any, st.SearchStrategy[Any]] = {
    float: FINITE,
    int: st.integers(-(10**15), 10**15),
    str: st.text(max_size=8),
    bool: st.booleans(),
    type(None): st.none(),
    Any: JSON_VALUES,
    datetime: st.datetimes(timezones=st.just(UTC)),
    Sla: st.sampled_from(["p95<300ms", "p50<20ms, p99.9<2s, failures<0.1%"]).map(parse_sla),
}


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value that the annotation of a result's field allows."""
    if annotation in ATOMS:
        return ATOMS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return models_of(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(values_of(args[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(values_of(args[0]), values_of(args[1]), max_size=2)
    assert origin in (types.UnionType, typing.Union), annotation
    return st.one_of([values_of(arg) for arg in args])


def models_of(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    fields = {f.alias or name: values_of(f.annotation) for name, f in model.model_fields.items()}
    return st.fixed_dictionaries(fields).map(model.model_validate)


def provenance() -> Provenance:
    return Provenance(
        plan=PlanRef(name="sale", sections={"audience": "1f0c"}),
        made_at=datetime(2026, 11, 13, 9, 30, tzinfo=UTC),
        seed=7,
        environment={"python": "3.12.1"},
    )


def verdict(message: str = "fine", measured: float = 0.1) -> Verdict:
    check = Check(
        name="overload", outcome="pass", measured=measured, required=1 / 3, message=message
    )
    return Verdict(**dict(provenance()), verdict="pass", checks=(check,))


def complaint(text: str, kind: type[Result] = Verdict) -> str:
    with pytest.raises(UsageError) as caught:
        from_json(text, kind, "verdict.json")
    assert caught.value.hint
    return caught.value.message


def changed(**keys: Any) -> str:
    return json.dumps(json.loads(to_json(verdict())) | keys)


@pytest.mark.parametrize("kind", KINDS)
def test_every_result_comes_back_as_it_was_written(kind):
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(models_of(kind))
    def check(result: Result) -> None:
        text = to_json(result)
        again = from_json(text, kind, "result.json")
        assert again == result
        assert to_json(again) == text

    check()


def test_a_result_reads_like_this():
    assert (
        to_json(verdict("größer"))
        == f"""{{
  "schema": "capplan.verdict/1",
  "plan": {{
    "name": "sale",
    "sections": {{
      "audience": "1f0c"
    }}
  }},
  "made_at": "2026-11-13T09:30:00Z",
  "seed": 7,
  "environment": {{
    "python": "3.12.1"
  }},
  "capplan_version": "{__version__}",
  "notes": [],
  "verdict": "pass",
  "checks": [
    {{
      "name": "overload",
      "outcome": "pass",
      "measured": 0.1,
      "required": 0.3333333333333333,
      "message": "größer"
    }}
  ]
}}
"""
    )


def test_a_number_that_is_not_finite_is_a_bug_and_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(tmp_path / "verdict.json", verdict(measured=float("inf")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "verdict.json is not JSON: Expecting value in line 1"),
        ('{\n"schema": ', "verdict.json is not JSON: Expecting value in line 2"),
        ("[" * 100_000, "verdict.json is not JSON: nested too deep"),
        ("1" * 5000, "verdict.json is not JSON: Exceeds the limit (4300 digits) for integer"),
        ("[1e999]", "verdict.json is not JSON: 1e999 is not a number that a result may hold"),
        ("[NaN]", "verdict.json is not JSON: NaN is not a number that a result may hold"),
        ("[]", "verdict.json is not a result of capplan: it has no schema"),
        ("{}", "verdict.json is not a result of capplan: it has no schema"),
        ('{"schema": 1}', "verdict.json is not a result of capplan: it has no schema"),
        (
            changed(schema="capplan.demand/1"),
            "verdict.json holds capplan.demand/1, where capplan.verdict/1 is needed",
        ),
        (
            changed(schema="capplan.verdict/2"),
            "verdict.json holds capplan.verdict/2, and this version of capplan reads"
            " capplan.verdict/1",
        ),
        (
            changed(verdict="maybe"),
            "verdict.json is damaged: verdict: 'maybe' is not 'pass', 'fail' or 'inconclusive'",
        ),
        (
            changed(checks=[{"name": "overload"}]),
            "verdict.json is damaged: checks[0].outcome is missing (and 3 more)",
        ),
        (changed(checks=7), "verdict.json is damaged: checks: '7' stands where a list belongs"),
        (changed(seed="x"), "verdict.json is damaged: seed: 'x' does not belong here"),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    assert complaint(text).startswith(message)


def test_a_key_that_a_later_version_added_is_passed_over():
    assert from_json(changed(more=[1]), Verdict, "verdict.json") == verdict()


def test_a_key_that_a_later_version_added_deep_inside_is_passed_over_too():
    checks = [check.model_dump() | {"since": 1} for check in verdict().checks]
    assert checks
    assert from_json(changed(checks=checks), Verdict, "verdict.json") == verdict()


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_noise_is_never_more_than_a_usage_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("noise") / "verdict.json"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        read_result(path, Verdict)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_values_in_any_place_are_never_more_than_a_usage_error(kind):
    @settings(max_examples=50, deadline=None)
    @given(st.sampled_from(sorted(kind.model_fields)), JSON_VALUES)
    def check(field: str, value: Any) -> None:
        content = json.loads(changed(schema=kind.model_fields["schema_"].default))
        content |= {} if field == "schema_" else {field: value}
        with contextlib.suppress(UsageError):
            assert from_json(json.dumps(content), kind, "result.json")

    check()


def test_a_missing_result_names_the_command_that_writes_it(tmp_path):
    with pytest.raises(UsageError) as caught:
        read_result(tmp_path / "demand.json", Demand)
    assert caught.value.message == f"{tmp_path / 'demand.json'} does not exist"
    assert caught.value.hint == "write it with: capplan estimate"


def test_a_folder_is_no_result(tmp_path):
    with pytest.raises(UsageError, match="is a folder, not a result"):
        read_result(tmp_path, Demand)


def test_a_name_that_the_disk_refuses_is_a_usage_error_when_read(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        read_result(tmp_path / ("x" * 300), Demand)


def test_writing_makes_the_folder_and_leaves_nothing_beside_the_result(tmp_path):
    path = tmp_path / "sale.capplan" / "verdict.json"
    write_result(path, verdict())
    assert read_result(path, Verdict) == verdict()
    assert [p.name for p in path.parent.iterdir()] == ["verdict.json"]


def test_a_written_file_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "verdict.json"
    write_result(path, verdict("old"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SetupError) as caught:
        write_result(path, verdict("new"))
    assert caught.value.message == f"{path} cannot be written: No space left on device"
    assert read_result(path, Verdict) == verdict("old")
    assert [p.name for p in tmp_path.iterdir()] == ["verdict.json"]


@pytest.mark.parametrize("act", [check_writable, lambda path: write_text(path, "x")])
def test_a_path_below_a_file_cannot_be_written(tmp_path, act):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SetupError) as caught:
        act(tmp_path / "file" / "verdict.json")
    assert caught.value.message.startswith(
        f"{tmp_path / 'file' / 'verdict.json'} cannot be written"
    )
    assert caught.value.hint


@pytest.mark.parametrize("act", [check_writable, lambda path: write_text(path, "x")])
def test_a_folder_cannot_be_written(tmp_path, act):
    with pytest.raises(SetupError, match="cannot be written: Is a directory"):
        act(tmp_path)


def test_checking_that_a_path_can_be_written_writes_nothing(tmp_path):
    check_writable(tmp_path / "sale.capplan" / "capacity.json")
    assert list((tmp_path / "sale.capplan").iterdir()) == []


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_writable(fifo)
        write_text(fifo, "text")
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)
    assert fifo.is_fifo()


def test_a_link_stays_a_link_to_the_file_that_changed(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_text_that_utf8_cannot_hold_is_written_escaped(tmp_path):
    write_text(tmp_path / "a", '"\udc80"')
    assert json.loads((tmp_path / "a").read_text("utf-8")) == "\udc80"


def test_a_result_can_come_from_standard_input(monkeypatch):
    read_end, write_end = os.pipe()
    os.write(write_end, to_json(verdict()).encode())
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert read_result(Path("-"), Verdict) == verdict()
