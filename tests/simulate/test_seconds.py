"""An act second by second and class by class: against the act as a whole, and against itself."""

import csv
import io
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from capplan.errors import UsageError
from capplan.render.csv import act as act_as_csv
from capplan.results.seconds import ActSeconds, pack, unpack
from capplan.results.simulation import Act
from capplan.simulate.acts import ATTACK, Script, stage
from capplan.simulate.detail import QUANTILES, percentiles, seconds
from capplan.simulate.kernel.setup import simulate_until
from capplan.simulate.kernel.tally import BINS, REASONS, bin_ends_s
from capplan.simulate.outcome import act
from tests.simulate.test_play import sale

BOTS = [{"name": "flood", "rate": "400 rps", "sources": "20", "start": "30 s", "duration": "1 min"}]
SERVICES = [
    {"name": "database", "service_time": "5 ms", "slots": "3"},
    {"name": "payment", "service_time": "400 ms", "slots": "2", "queue": "10",
     "calls": {"pay": "1"}, "timeout": "1 s"},
]  # fmt: skip
SET = ("waf", "concurrency-limit", "queue-bound", "circuit-breaker")
CLASSES = ("browse", "cart", "pay", "flood", "all")


@cache
def played() -> tuple[ActSeconds, Act]:
    scene = sale({"bots": BOTS, "surprise": "2", "workers": "60", "downstream": SERVICES})
    script = Script(ATTACK, 2.0, True, 5, SET)
    world = simulate_until(stage(scene, script, 1), float(scene.seconds))
    shown = seconds(scene, script, world)
    return shown, act(scene, script, world, shown)


@cache
def rows() -> dict[str, list[dict[str, str]]]:
    """The rows of the file for spreadsheets, by class."""
    table = list(csv.DictReader(io.StringIO(act_as_csv(played()[0], header=True))))
    assert len(table) == len(played()[0].t_s) * len(CLASSES)
    return {name: [row for row in table if row["class"] == name] for name in CLASSES}


def test_seconds_and_classes_add_up_to_the_act():
    shown, whole = played()
    assert shown.classes == CLASSES
    for name, outcome in whole.classes.items():
        place = CLASSES.index(name)
        for column, total in (
            ("offered", outcome.offered), ("attempts", outcome.attempts), ("good", outcome.served),
            ("timed_out", outcome.timed_out), ("given_up", outcome.given_up),
            ("degraded", outcome.degraded), ("refused", sum(outcome.rejected_by.values())),
        ):  # fmt: skip
            assert shown.of_class[column][:, place].sum() == total, (name, column)
    for column, count in (("paid", whole.paid), ("begun", whole.visits)):
        assert shown.of_everybody[f"visits_{column}"].sum() == count
    assert shown.of_class["queued"][:, -1].max() == whole.peak_queue


def test_every_column_of_all_is_the_sum_over_the_classes():
    shown, _ = played()
    for column, values in shown.of_class.items():
        if not column.startswith("latency"):
            assert values[:, :-1].sum(axis=1) == pytest.approx(values[:, -1]), column
    refused = np.array([shown.of_class[f"refused_{reason}"] for reason in REASONS])
    assert (refused.sum(axis=0) == shown.of_class["refused"]).all()


def test_latencies_of_a_class_are_its_own():
    """Those of all lie between the least and the greatest of the classes."""
    shown, _ = played()
    for quantile in ("p50", "p95", "p99"):
        values = shown.of_class[f"latency_s_{quantile}"]
        answered = shown.of_class["good"] > 0
        assert (np.isnan(values) == ~answered).all()
        some = answered[:, -1]
        kinds, everyone = values[some, :-1], values[some, -1]
        assert (np.nanmin(kinds, axis=1) <= everyone).all()
        assert (everyone <= np.nanmax(kinds, axis=1)).all()
    # to pay needs a service that is slow and scarce
    medians = np.nanmedian(shown.of_class["latency_s_p50"], axis=0)
    assert medians[CLASSES.index("pay")] > 0.2 > 0.1 > medians[CLASSES.index("browse")]


@pytest.mark.parametrize("name", CLASSES)
def test_a_reader_of_the_file_can_account_for_every_request(name):
    """Each second: what is asked is answered, refused, given up, or still under way at its end."""
    words = ("act", "protected", "class")
    of_class = [
        {key: float(cell) for key, cell in row.items() if key not in words and _is_number(cell)}
        for row in rows()[name]
    ]
    assert [row["t_s"] for row in of_class] == list(played()[0].t_s)
    for before, row in pairwise([dict.fromkeys(of_class[0], 0.0), *of_class]):
        waits = row["waiting"] - before["waiting"]
        pauses = row["pausing"] - before["pausing"]
        refused = sum(row[f"refused_{reason}"] for reason in REASONS)
        assert row["attempts"] == row["received"] + refused + row["timed_out"] + waits
        assert row["offered"] == row["received"] + row["given_up"] + waits + pauses
        assert row["in_flight"] == sum(
            row[layer] for layer in ("waf", "gateway", "queued", "served", "bucket", "limiter",
                                     "wire", "queued downstream", "served downstream")
        )  # fmt: skip
        assert row["admitted"] <= row["attempts"]


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).replace("-", "", 1).replace("e", "", 1).isdecimal()


def test_the_file_tells_of_each_service_and_its_breaker():
    header = act_as_csv(played()[0], header=True).splitlines()[0].split(",")
    assert len(set(header)) == len(header)
    told = rows()["all"]
    for name, slots in (("database", 3), ("payment", 2)):
        assert 0 < max(float(row[f"{name}_busy"]) for row in told) <= slots
    assert 0 < max(float(row["payment_queued"]) for row in told) <= 10
    assert sum(float(row["payment_refused"]) for row in told) > 0
    assert sum(float(row["payment_cut_off"]) for row in told) > 0
    # each of five servers has a breaker of its own
    is_open = [float(row["payment_breakers_open"]) for row in told]
    assert {0, 1} <= set(is_open) <= set(range(6))
    seen = sum(max(now - before, 0) for before, now in pairwise(is_open))
    assert 0 < seen <= played()[1].downstream["payment"].breaker_opened
    assert all(row["payment_busy"] == "" for row in rows()["pay"])
    fleet = sum(float(row["queued downstream"]) for row in told)
    behind = sum(float(row[f"{name}_queued"]) for row in told for name in ("database", "payment"))
    assert fleet == behind > 0


def test_percentiles_of_a_histogram_are_those_of_its_values_to_within_a_bin():
    rng = np.random.default_rng(1)
    values = rng.lognormal(-3, 1, (4, 5000))
    bins = np.stack([np.bincount(np.searchsorted(bin_ends_s(), one), minlength=BINS)
                     for one in values])  # fmt: skip
    found = percentiles(bins, QUANTILES)
    # a bin is a ninth wide, and its middle is half a bin from either end
    assert found == pytest.approx(np.quantile(values, QUANTILES, axis=1).T, rel=0.08)
    assert np.isnan(percentiles(np.zeros((1, BINS), int), QUANTILES)).all()


def test_what_is_stored_beside_a_result_is_read_back(tmp_path: Path):
    shown, _ = played()
    data, named = pack([shown, shown])
    (tmp_path / named.file).write_bytes(data)
    same, again = unpack(tmp_path / named.file, named)
    assert (same.act, same.protections, same.t_s, same.classes, same.services) == (
        shown.act, shown.protections, shown.t_s, shown.classes, shown.services,
    )  # fmt: skip
    for part in ("of_class", "of_service", "of_everybody"):
        mine, read = getattr(shown, part), getattr(again, part)
        assert list(mine) == list(read)
        for column, values in mine.items():
            assert read[column] == pytest.approx(values, rel=1e-6, nan_ok=True), column
    # the same acts are the same file, which is small: not a byte for each number
    assert pack([shown, shown]) == (data, named)
    numbers = len(shown.of_class) * len(CLASSES) * len(shown.t_s)
    assert len(data) < 2 * numbers


def test_a_file_that_is_not_the_one_of_the_result_is_refused(tmp_path: Path):
    shown, _ = played()
    path = tmp_path / "seconds.npz"
    data, named = pack([shown])
    with pytest.raises(UsageError, match="does not exist"):
        unpack(path, named)
    path.write_bytes(pack([shown, shown])[0])
    with pytest.raises(UsageError, match="belongs to another simulation"):
        unpack(path, named)
    for damaged in (b"", b"no archive", data[: len(data) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="cannot be read"):
            unpack(path, named)
