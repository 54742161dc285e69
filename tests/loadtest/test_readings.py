"""What was used over a span of time, from readings of counters."""

import pytest

from capplan.loadtest.probes.readings import TICK_S, Ceilings, Reading, used

CEILINGS = Ceilings(cores=2.0, memory_bytes=1000.0, network_bytes_per_s=500.0)


def readings(*cpu_s: float, every_s: float = 0.5, **more: float) -> list[Reading]:
    return [
        Reading(
            at_s=100.0 + i * every_s, cpu_s=cpu, memory_bytes=100.0 * (i + 1), open_files=10.0 + i
        )
        for i, cpu in enumerate(cpu_s)
    ]


def test_the_cpu_is_the_growth_of_its_counter_over_the_cores():
    use = used(readings(5.0, 5.5, 6.0, 6.5, 7.0), 100.0, 102.0, CEILINGS)
    assert use is not None
    assert use.cores_used == pytest.approx(1.0)
    assert use.cpu == pytest.approx(0.5)
    # without any spread the ticks are all the doubt there is: one in 2 s of two cores
    assert use.cpu_stderr == pytest.approx(TICK_S / 2.0 / 2)
    assert use.samples == 5


def test_counters_are_interpolated_at_both_ends_of_the_span():
    # 0.2 cores for a second, then 1.8 cores for a second
    use = used(readings(0.0, 0.1, 0.2, 1.1, 2.0), 100.75, 101.25, CEILINGS)
    assert use is not None
    assert use.cores_used == pytest.approx((0.25 * 0.2 + 0.25 * 1.8) / 0.5)


def test_the_span_ends_where_the_readings_do():
    use = used(readings(0.0, 0.5, 1.0), 100.5, 250.0, CEILINGS)
    assert use is not None
    assert use.cores_used == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("given", "from_s", "until_s"),
    [
        ([], 0.0, 9.0),
        (readings(1.0), 100.0, 101.0),
        (readings(1.0, 2.0), 100.45, 102.0),  # 50 ms are within five ticks
        (readings(1.0, 2.0), 90.0, 95.0),
    ],
)
def test_too_little_seen_is_nothing_seen(given, from_s, until_s):
    assert used(given, from_s, until_s, CEILINGS) is None


def test_memory_and_files_are_means_and_shares_of_what_there_may_be():
    use = used(readings(0.0, 0.0, 0.0), 100.0, 101.0, CEILINGS)
    assert use is not None
    assert (use.memory_bytes, use.memory) == pytest.approx((200.0, 0.2))
    assert use.open_files == pytest.approx(11.0)
    assert use.open_files_share is None  # no limit was seen


def test_the_standard_error_is_that_of_the_mean_of_the_pieces():
    # pieces of 0.4 and 0.6 cores in turns: sd 0.1, n = 8
    cpu = [0.0]
    for i in range(8):
        cpu.append(cpu[-1] + 0.5 * (0.4 if i % 2 else 0.6))
    use = used(readings(*cpu), 100.0, 104.0, CEILINGS)
    assert use is not None
    assert use.cpu_stderr == pytest.approx(0.1 / 7**0.5 / 2)


def test_a_worker_that_ended_does_not_make_the_cpu_negative():
    use = used(readings(5.0, 5.5, 3.0, 3.5), 100.0, 101.5, CEILINGS)
    assert use is not None
    assert use.cores_used == pytest.approx(0.5 / 1.5)


def test_the_busiest_thread_is_that_of_those_that_lived_all_the_time():
    many = [
        Reading(0.0, 0.0, 1.0, thread_cpu_s={1: 3.0, 2: 0.0}, thread_wait_s={1: 0.0, 2: 1.0}),
        Reading(1.0, 1.0, 1.0, thread_cpu_s={1: 3.1, 2: 0.5, 3: 0.4}, thread_wait_s={2: 1.2}),
        Reading(2.0, 2.0, 1.0, thread_cpu_s={1: 3.2, 2: 1.4}, thread_wait_s={1: 0.2, 2: 1.6}),
    ]
    use = used(many, 0.0, 2.0, CEILINGS)
    assert use is not None
    assert use.busiest_thread_cores == pytest.approx(0.7)
    assert use.busiest_thread_wait == pytest.approx(0.3)
    assert use.waiting_threads == pytest.approx(0.1 + 0.3)


def test_the_network_is_the_busier_direction_over_the_speed_of_the_link():
    some = [Reading(t, 0.0, 1.0, received_bytes=10.0 * t, sent_bytes=100.0 * t) for t in (0.0, 1.0)]
    use = used(some, 0.0, 1.0, CEILINGS)
    assert use is not None
    assert (use.received_bytes_per_s, use.sent_bytes_per_s) == pytest.approx((10.0, 100.0))
    assert use.network == pytest.approx(0.2)
    unknown = used(some, 0.0, 1.0, Ceilings(1.0, 1.0))
    assert unknown is not None
    assert unknown.network is None
