"""Recordings: what comes through the socket, request by request."""

import math

import numpy as np
import pytest

from capplan.loadtest.protocol import FAILURE, SUCCESS, TIMEOUT
from capplan.loadtest.recording import Recording
from tests.loadtest.harness import recording, rows, spec


def test_rows_come_back_as_they_were_sent():
    made = Recording(spec())
    made.add(
        rows([0.125, 0.5], [0.25, 0.75], [SUCCESS, FAILURE], [0.0625, 0.0], [1, 0]),
        ["GET /", "POST /cart"],
    )
    got = made.rows()
    assert got.intended_s.tolist() == [0.125, 0.5]
    assert got.latency_s.tolist() == [0.25, 0.75]
    assert got.lateness_s.tolist() == [0.0625, 0.0]
    assert [made.endpoints[i] for i in got.endpoint] == ["POST /cart", "GET /"]
    assert got.ending.tolist() == [SUCCESS, FAILURE]


def test_chunks_are_joined_in_order():
    made = Recording(spec())
    for k in range(3):
        made.add(rows([float(k)], [0.1 * k]), ["GET /"])
    assert made.rows().intended_s.tolist() == [0.0, 1.0, 2.0]
    assert made.count == len(made.rows()) == 3


def test_an_empty_recording_has_no_rows():
    assert len(Recording(spec()).rows()) == 0


def test_a_timeout_has_no_finite_latency():
    got = recording([0.1, 2.0], [SUCCESS, TIMEOUT]).rows()
    assert got.latency_s[1] == math.inf
    assert got.sojourn_s[1] == math.inf
    assert np.isfinite(got.sojourn_s[0])


def test_latency_counts_from_the_intended_start_apart_from_the_actual_one():
    got = recording([0.25, 0.25], lateness_s=[0.5, 0.0]).rows()
    assert got.sojourn_s.tolist() == [0.75, 0.25]
    assert got.latency_s.tolist() == [0.25, 0.25]


def test_intended_starts_keep_full_precision():
    moments = [100.0 + 1e-9 * k for k in range(3)]
    assert recording([0.1] * 3, intended_s=moments).rows().intended_s.tolist() == moments


def test_a_selection_keeps_rows_together():
    got = recording(
        [0.1, 0.2, 0.4], [SUCCESS, FAILURE, SUCCESS], endpoint=[0, 1, 1], endpoints=["a", "b"]
    )
    picked = got.rows().where(got.rows().endpoint == 1)
    assert picked.ending.tolist() == [FAILURE, SUCCESS]
    assert picked.latency_s == pytest.approx([0.2, 0.4])


def test_misses_and_failures_are_counted_as_rows_arrive():
    made = Recording(spec(limit_s=0.3))
    made.add(
        rows(
            [0.0] * 5,
            [0.1, 0.4, 0.2, 0.1, 2.0],
            [SUCCESS, SUCCESS, SUCCESS, FAILURE, TIMEOUT],
            # the third is over the limit because it left late
            [0.0, 0.0, 0.2, 0.0, 0.0],
        ),
        ["GET /"],
    )
    assert (made.count, made.misses, made.failures) == (5, 3, 2)
