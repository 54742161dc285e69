from datetime import UTC, datetime, timedelta, timezone

import pytest

from capplan.render.chart import Band, Canvas, framed, plot, rate_axis, time_axis

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def flat(value: float, seconds: float = 3600.0) -> Band:
    return Band((0.0, seconds), (value, value), (value, value), (value, value))


def dots(line: str) -> list[int]:
    return [ord(character) - 0x2800 if character != " " else 0 for character in line]


def test_a_constant_rate_is_a_straight_line_at_the_top() -> None:
    drawn = plot(flat(5.0), Canvas(4, 2))
    assert drawn[0].startswith("⠉")
    assert drawn[1] == "    "


def test_a_braille_character_holds_two_columns_of_four_dots() -> None:
    rise = Band((0.0, 1.0), (0.0, 0.0), (0.0, 8.0), (8.0, 8.0))
    drawn = plot(rise, Canvas(2, 1))
    # the line climbs over 4 columns and 4 rows; the band adds two points of its pattern
    assert len(drawn) == 1
    assert [bin(cell).count("1") for cell in dots(drawn[0])] != [0, 0]


def test_a_spike_between_two_columns_stays_visible() -> None:
    t_s = [float(t) for t in range(1001)]
    rates = [100.0 if t == 503 else 1.0 for t in t_s]
    drawn = plot(Band(t_s, rates, rates, rates), Canvas(10, 5, ascii_only=True))
    assert drawn[0] == "     *    "


def test_no_traffic_at_all_is_drawn_as_a_line_at_zero() -> None:
    assert plot(flat(0.0), Canvas(3, 2, ascii_only=True)) == ["   ", "***"]


def test_times_before_the_start_have_their_clock_time() -> None:
    assert time_axis(NOON, -1800, 1800, 46) == {0: "11:30", 11: "11:45", 22: "12:00", 34: "12:15"}


def test_labels_are_in_the_clock_time_of_the_sale() -> None:
    india = datetime(2026, 11, 27, 12, 10, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert list(time_axis(india, 0, 7200, 60).values()) == ["12:30", "13:00", "13:30", "14:00"]


@pytest.mark.parametrize(
    ("span_s", "label"),
    [(10, "12:00:00"), (120, "12:00:00"), (600, "12:00"), (86_400, "12:00"), (864_000, "29 Nov")],
)
def test_the_labels_are_as_fine_as_the_span_needs(span_s: float, label: str) -> None:
    assert next(iter(time_axis(NOON, 0, span_s, 70).values())) == label


@pytest.mark.parametrize("width", [20, 30, 45, 70, 100])
@pytest.mark.parametrize("span_s", [1, 7, 61, 600, 7200, 40_000, 90_000, 3e6, 3e7])
def test_labels_never_touch_and_never_leave_the_chart(width: int, span_s: float) -> None:
    labels = time_axis(NOON, 0, span_s, width)
    ends = [x + len(text) for x, text in labels.items()]
    assert all(end < begin for end, begin in zip(ends, list(labels)[1:], strict=False))
    assert max(ends, default=0) <= width


@pytest.mark.parametrize("top", [0.4, 1, 3.7, 9.9, 10, 99, 123.4, 5_000, 8_800, 12_345, 9.9e6])
def test_rates_are_round_and_few(top: float) -> None:
    labels = rate_axis(top, 10)
    assert 3 <= len(labels) <= 6
    assert set(labels) <= set(range(10))
    assert len(set(labels.values())) == len(labels)


def test_a_chart_of_nothing_names_only_the_zero() -> None:
    assert framed(flat(0.0, 7200.0), NOON, Canvas(30, 3, ascii_only=True))[-3].startswith("0 +")


def test_the_frame_names_rates_and_times() -> None:
    assert framed(flat(100.0, 7200.0), NOON, Canvas(30, 6, ascii_only=True)) == [
        "100 +******************************",
        " 80 +",
        " 60 +",
        " 40 +",
        " 20 +",
        "  0 +",
        "    ++-------------+---------------",
        "     12:00         13:00",
    ]
