import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capplan.units import (
    format_count,
    format_duration,
    format_money,
    format_number,
    format_rate,
    format_share,
    parse_count,
    parse_duration,
    parse_money,
    parse_multiple,
    parse_price,
    parse_range,
    parse_rate,
    parse_share,
)

READERS = [
    parse_count,
    parse_share,
    parse_duration,
    parse_rate,
    parse_multiple,
    parse_money,
    parse_price,
]


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (parse_count, "400k", 400e3),
        (parse_count, " 1.2 M ", 1.2e6),
        (parse_count, "5M impressions", 5e6),
        (parse_count, "2 bn", 2e9),
        (parse_count, "1.2 million people", 1.2e6),
        (parse_count, "300 visitors", 300),
        (parse_count, "1e3", 1000),
        (parse_share, "0.4%", 0.004),
        (parse_share, "100%", 1),
        (parse_share, "1e-3", 0.001),
        (parse_duration, "250 ms", 0.25),
        (parse_duration, "90us", 90e-6),
        (parse_duration, "2h", 7200),
        (parse_duration, "1 h 30 min 5 s", 5405),
        (parse_duration, "0", 0),
        (parse_rate, "50/s", 50),
        (parse_rate, "1.2k rps", 1200),
        (parse_rate, "3000 per minute", 50),
        (parse_rate, "7200/h", 2),
        (parse_multiple, "10x", 10),
        (parse_multiple, "0.5", 0.5),
        (parse_money, "$200", 200),
        (parse_money, "12k USD", 12e3),
        (parse_money, "$-3", -3),
        (parse_price, "$0.17/h", 0.17),
        (parse_price, "$1.5 / hour", 1.5),
    ],
)
def test_a_quantity_is_read_in_base_units(read, text, value):
    assert read(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (parse_count, "5 lakh", "'5 lakh' is not a count: write it like 400k, 1.2M or 300"),
        (parse_count, "1.2m", "'1.2m' is not a count: write it like 400k, 1.2M or 300"),
        (parse_count, "many", "'many' is not a count such as 400k or 1.2M"),
        (parse_count, "1,200", "'1,200' is not a count: write it like 400k, 1.2M or 300"),
        (parse_count, "1e400", "'1e400' is too large"),
        (parse_count, "nan", "'nan' is not a count such as 400k or 1.2M"),
        (parse_share, "35", "'35' is not a share between 0% and 100%"),
        (parse_share, "-1%", "'-1%' is not a share between 0% and 100%"),
        (parse_share, "5 rps", "'5 rps' is not a share such as 2.5% or 0.025"),
        (
            parse_duration,
            "12:30",
            "'12:30' is not a duration with its unit, such as 250 ms, 10 min or 2 h",
        ),
        (
            parse_duration,
            "5",
            "'5' is not a duration with its unit, such as 250 ms, 10 min or 2 h",
        ),
        (
            parse_rate,
            "850",
            "'850' is not a rate with its unit, such as 850 rps, 50/s or 3000/min",
        ),
        (parse_multiple, "3%", "'3%' is not a factor such as 10x or 3"),
        (parse_money, "0.4", "'0.4' is not an amount in US dollars: write it like $0.40"),
        (parse_price, "$0.17", "'$0.17' is not a price per hour: write it like $0.17/h"),
        (parse_price, "$4/d", "'$4/d' is not a price per hour: write it like $0.17/h"),
        (parse_rate, "9" * 300, f"'{'9' * 40}…' is too long for a rate with its unit, such as"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_right_way_to_write_it(read, text, message):
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("read", "text", "low", "high"),
    [
        (parse_share, "1% to 3%", 0.01, 0.03),
        (parse_share, "1 to 3%", 0.01, 0.03),
        (parse_share, "2%", 0.02, 0.02),
        (parse_duration, "2 to 6 min", 120, 360),
        (parse_duration, "75 s to 6 min", 75, 360),
        (parse_rate, "350 to 420 rps", 350, 420),
        (parse_rate, "350 to 1.2k rps", 350, 1200),
        (parse_count, "8k to 20k", 8e3, 20e3),
        (parse_count, "0 to 20k", 0, 20e3),
        (parse_count, "2 to 5 thousand", 2e3, 5e3),
        (parse_multiple, "3 to 8x", 3, 8),
    ],
)
def test_a_range_is_read_with_the_unit_of_its_end(read, text, low, high):
    interval = parse_range(text, read)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (parse_share, "5% to 1%", "'5% to 1%' runs backwards: write the smaller value first"),
        (parse_count, "8 to 20k", "'8 to 20k' can be read in two ways: write 8k to 20k"),
        (parse_multiple, "3-8", "'3-8' is not a range: write it like 3 to 8"),
        (parse_share, "2% – 5%", "'2% – 5%' is not a range: write it like 2% to 5%"),
        (parse_multiple, "1 to 2 to 3", "'1 to 2 to 3' is not a range: write it like 1 to 3"),
        (parse_duration, "1 to 3 h 30 min", "'1' is not a duration with its unit"),
        (parse_share, "to 5%", "'to 5%' is not a share"),
        (parse_share, " to ".join("1%" for _ in range(99)), "'1% to 1% to 1% to"),
    ],
)
def test_what_is_no_range_is_refused_with_the_right_way_to_write_it(read, text, message):
    with pytest.raises(ValueError) as caught:
        parse_range(text, read)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("read", READERS)
@given(text=st.text(max_size=30) | st.from_regex(r"[-+.\d]{1,5} ?[a-zA-Z%$/µ ]{0,8}( to .*)?"))
def test_any_text_is_a_finite_number_or_refused(read, text):
    with contextlib.suppress(ValueError):
        value = parse_range(text, read)
        assert math.isfinite(value.low)
        assert math.isfinite(value.high)
        assert value.low <= value.high


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (format_rate, 0.5, "0.5 rps"),
        (format_rate, 99_940, "99,900 rps"),
        (format_count, 999.4, "999"),
        (format_count, 999.6, "1k"),
        (format_count, 999_950, "1M"),
        (format_count, 1.09e12, "1,090B"),
        (format_number, -1234.5, "-1,230"),
        (format_number, 0, "0"),
        (format_share, 0.00012, "0.012%"),
        (format_share, 0.09996, "10%"),
        (format_share, 0.995, "99.50%"),
        (format_share, 0.99999, ">99.99%"),
        (format_share, 1, "100%"),
        (format_duration, 0, "0 s"),
        (format_duration, 0.9999, "1 s"),
        (format_duration, 59.97, "1 min"),
        (format_duration, 119.6, "2 min"),
        (format_duration, 3 * 3600 + 1, "3 h"),
        (format_duration, -90, "-1 min 30 s"),
        (format_money, 99.999, "$100"),
        (format_money, -5, "-$5.00"),
        (format_money, 2e6, "$2M"),
    ],
)
def test_a_number_is_shown_the_way_people_say_it(show, value, text):
    assert show(value) == text


@given(st.floats(1e-6, 1e7))
def test_a_duration_reads_back_as_it_is_shown(duration_s):
    # three digits below a minute, whole seconds below an hour, above it the seconds are left out
    lost_s = 0.00501 * duration_s if duration_s < 59 else 0.5 if duration_s < 3599 else 60
    assert parse_duration(format_duration(duration_s)) == pytest.approx(duration_s, abs=lost_s)


@given(st.floats(1e-4, 0.9999))
def test_a_share_reads_back_as_it_is_shown(share):
    # two digits are kept, so up to half of the second one is lost
    assert parse_share(format_share(share)) == pytest.approx(share, rel=0.051)


@pytest.mark.parametrize(
    ("read", "unit", "factor"),
    [
        (parse_count, "k", 1e3),
        (parse_count, " million people", 1e6),
        (parse_share, "%", 0.01),
        (parse_duration, " ms", 1e-3),
        (parse_duration, " s", 1),
        (parse_duration, " min", 60),
        (parse_duration, " h", 3600),
        (parse_duration, " d", 86400),
        (parse_rate, " rps", 1),
        (parse_rate, "k/s", 1e3),
        (parse_rate, "/min", 1 / 60),
        (parse_rate, " per hour", 1 / 3600),
        (parse_multiple, "x", 1),
        (parse_price, "/h", 1),
    ],
)
@given(number=st.floats(1e-6, 99))
def test_a_number_survives_being_written_with_a_unit(read, unit, factor, number):
    written = f"{'$' if read is parse_price else ''}{number!r}{unit}"
    assert read(written) == pytest.approx(number * factor, rel=1e-15)
    low_high = parse_range(f"{written} to {written}", read)
    assert low_high.low == low_high.high == read(written)


@pytest.mark.parametrize(
    ("show", "read", "most"),
    [
        (format_rate, parse_rate, 1e9),
        (format_count, parse_count, 1e12),
        (format_money, parse_money, 1e8),
    ],
)
@given(share=st.floats(0, 1))
def test_what_is_shown_reads_back_to_its_digits(show, read, most, share):
    # from 1 on three digits are kept, or cents; the commas are for the eye only
    value = most**share
    kept = 0.00501 * value + (0.5 if show is format_money else 0)
    assert read(show(value).replace(",", "")) == pytest.approx(value, abs=kept)
