"""Text with units to numbers, and numbers to text.

Inside capplan every number is in base units: seconds, requests per second, ratios from 0 to 1, US
dollars, plain counts. Units exist only here, on the way in and on the way out. An uncertain number
is written ``low to high`` and read as a 90 % interval.

The readers raise ``ValueError`` with a message that names the text and the right way to write it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(
    rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>[^\d\s].*?)?\s*", re.ASCII | re.DOTALL
)
_TO = re.compile(r"\s+to\s+")
_DASHED = re.compile(rf"\s*({_NUMBER}[^\d\s]*)\s*(?:-|–|—|\.\.+)\s*({_NUMBER}.*)", re.DOTALL)
_LEADING_MAGNITUDE = re.compile(r"(?:bn|[kKMB])(?![a-zA-Z])")
_LONGEST = 200  # no quantity is longer; what is, is noise and not worth a slow regular expression

_MAGNITUDES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9}
_COUNTS = _MAGNITUDES | {"thousand": 1e3, "million": 1e6, "billion": 1e9}
# only these: another word may be a magnitude, and "5 lakh" must not be read as 5
_NOUNS = {
    "people", "visitors", "visits", "impressions", "followers", "subscribers", "recipients",
    "users", "customers", "shoppers", "members", "contacts", "views", "installs", "devices",
    "fans", "orders", "requests",
}  # fmt: skip
_DURATIONS = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_RATE_UNITS = {
    "rps": 1.0, "req/s": 1.0, "requests/s": 1.0, "/s": 1.0, "per second": 1.0,
    "/min": 1 / 60, "rpm": 1 / 60, "per minute": 1 / 60, "/h": 1 / 3600, "per hour": 1 / 3600,
}  # fmt: skip
_RATES = {
    prefix + unit: magnitude * factor
    for prefix, magnitude in _MAGNITUDES.items()
    for unit, factor in _RATE_UNITS.items()
} | {
    f"{prefix} {unit}": magnitude * factor
    for prefix, magnitude in _MAGNITUDES.items()
    if prefix
    for unit, factor in _RATE_UNITS.items()
}
_SHARES = {"": 1.0, "%": 0.01}
_MULTIPLES = {"": 1.0, "x": 1.0, "×": 1.0}


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """An uncertain number: its 5th and 95th percentile, or one certain value where both agree."""

    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the range is a single value."""
        return self.low == self.high

    @property
    def mid(self) -> float:
        """The arithmetic middle, for display only; the estimate draws from a distribution."""
        return (self.low + self.high) / 2


def parse_count(text: str) -> float:
    """Read a number of people, visits or things.

    >>> parse_count("1.2M"), parse_count("5M impressions"), parse_count("300 people")
    (1200000.0, 5000000.0, 300.0)
    """
    number, unit = _split(text, "a count such as 400k or 1.2M")
    words = unit.split()
    if words and words[-1] in _NOUNS:
        words.pop()
    magnitude = " ".join(words)
    if magnitude not in _COUNTS:
        raise ValueError(f"{text!r} is not a count: write it like 400k, 1.2M or 300")
    return _finite(number * _COUNTS[magnitude], text)


def parse_share(text: str) -> float:
    """Read a ratio from 0 to 1.

    >>> parse_share("2.5%"), parse_share("0.3")
    (0.025, 0.3)
    """
    value = _quantity(text, _SHARES, "a share such as 2.5% or 0.025")
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a share between 0% and 100%")
    return value


def parse_duration(text: str) -> float:
    """Read a duration in seconds; several parts add up.

    >>> parse_duration("250 ms"), parse_duration("1 h 30 min"), parse_duration("0")
    (0.25, 5400.0, 0.0)
    """
    parts = re.findall(rf"{_NUMBER}\s*[a-zµ]+", text) if len(text) <= _LONGEST else []
    if len(parts) > 1 and "".join(parts).replace(" ", "") == text.replace(" ", ""):
        return sum(parse_duration(part) for part in parts)
    if _zero(text):
        return 0.0
    return _quantity(text, _DURATIONS, "a duration with its unit, such as 250 ms, 10 min or 2 h")


def parse_rate(text: str) -> float:
    """Read a rate per second.

    >>> parse_rate("850 rps"), parse_rate("1.2k rps"), parse_rate("3000/min")
    (850.0, 1200.0, 50.0)
    """
    return _quantity(text, _RATES, "a rate with its unit, such as 850 rps, 50/s or 3000/min")


def parse_multiple(text: str) -> float:
    """Read a factor.

    >>> parse_multiple("10x"), parse_multiple("3")
    (10.0, 3.0)
    """
    return _quantity(text, _MULTIPLES, "a factor such as 10x or 3")


def parse_money(text: str) -> float:
    """Read an amount in US dollars.

    >>> parse_money("$0.40"), parse_money("200 USD")
    (0.4, 200.0)
    """
    bare = text.strip().removeprefix("$").removesuffix("USD")
    if bare == text.strip():
        raise ValueError(f"{text!r} is not an amount in US dollars: write it like $0.40")
    return _quantity(bare, {"": 1.0, "k": 1e3, "M": 1e6}, "an amount such as $0.40 or $12k")


def parse_price(text: str) -> float:
    """Read a price in US dollars per hour.

    >>> parse_price("$0.17/h")
    0.17
    """
    amount, slash, unit = text.rpartition("/")
    if not slash or unit.strip() not in ("h", "hour"):
        raise ValueError(f"{text!r} is not a price per hour: write it like $0.17/h")
    return parse_money(amount)


def parse_range(text: str, parse: Callable[[str], float]) -> Range:
    """Read ``low to high`` or a single certain value, each number by ``parse``.

    A unit that stands only behind the second number holds for both.

    >>> parse_range("1% to 3%", parse_share), parse_range("350 to 420 rps", parse_rate)
    (Range(low=0.01, high=0.03), Range(low=350.0, high=420.0))
    >>> parse_range("350 to 1.2k rps", parse_rate), parse_range("8k to 20k", parse_count)
    (Range(low=350.0, high=1200.0), Range(low=8000.0, high=20000.0))
    """
    if len(text) > _LONGEST:
        raise ValueError(f"'{text[:40]}…' is too long for a number or a range")
    parts = _TO.split(text.strip())
    if len(parts) == 1:
        value = _certain(parts[0], parse)
        return Range(value, value)
    if len(parts) != 2:
        raise ValueError(f"{text!r} is not a range: write it like {_example(parts)}")
    high = parse(parts[1])
    bare = _is_bare(parts[0])
    low = parse(parts[0] + _trailing_unit(parts[1]) if bare else parts[0])
    if bare and low > 0 and (magnitude := _two_readings(parts[1], low)):
        raise ValueError(
            f"{text!r} can be read in two ways: write {parts[0]}{magnitude} to {parts[1]}"
        )
    if low > high:
        raise ValueError(f"{text!r} runs backwards: write the smaller value first")
    return Range(low, high)


def format_rate(rate_rps: float) -> str:
    """Show requests per second with three digits that matter.

    >>> format_rate(417.25), format_rate(12345)
    ('417 rps', '12,300 rps')
    """
    return f"{format_number(rate_rps)} rps"


def format_count(count: float) -> str:
    """Show a count the way people say it.

    >>> format_count(812), format_count(9_640), format_count(1_234_567)
    ('812', '9.64k', '1.23M')
    """
    for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size * 0.9995:
            return f"{format_number(count / size)}{suffix}"
    return f"{count:.3g}"


def format_number(value: float) -> str:
    """Show a number with three significant digits and separated thousands.

    >>> format_number(0.1234), format_number(417.25), format_number(98765)
    ('0.123', '417', '98,800')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = round(value, 2 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def format_share(share: float) -> str:
    """Show a ratio as a percentage.

    >>> format_share(0.0123), format_share(0.5), format_share(0.00004), format_share(0)
    ('1.2%', '50%', '<0.01%', '0%')
    """
    percent = share * 100
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.99 < percent < 100:
        return ">99.99%"
    if 99 < percent < 100:
        return f"{percent:.2f}%"
    return f"{percent:.2g}%" if percent < 10 else f"{percent:.0f}%"


def format_duration(duration_s: float) -> str:
    """Show a duration in the unit a person would choose.

    >>> format_duration(0.0123), format_duration(4.2), format_duration(90), format_duration(7200)
    ('12.3 ms', '4.2 s', '1 min 30 s', '2 h')
    """
    if duration_s < 0:
        return f"-{format_duration(-duration_s)}"
    if duration_s == 0:
        return "0 s"
    if duration_s < 0.9995:
        return f"{duration_s * 1000:.3g} ms"
    if duration_s < 59.95:
        return f"{duration_s:.3g} s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{value} {unit}" for value, unit in ((hours, "h"), (minutes, "min")) if value]
    if seconds and not hours:
        parts.append(f"{seconds} s")
    return " ".join(parts)


def format_money(amount_usd: float) -> str:
    """Show US dollars.

    >>> format_money(0.17), format_money(1234.5), format_money(15_200_000)
    ('$0.17', '$1,234', '$15.2M')
    """
    if amount_usd < 0:
        return f"-{format_money(-amount_usd)}"
    if amount_usd >= 1e6:
        return f"${format_count(amount_usd)}"
    return f"${amount_usd:,.2f}" if amount_usd < 99.995 else f"${amount_usd:,.0f}"


def format_price(price_usd_per_h: float) -> str:
    """Show a price per hour with all the digits that a list has.

    >>> format_price(0.17), format_price(0.1008), format_price(12.0)
    ('$0.17/h', '$0.1008/h', '$12.00/h')
    """
    exact = f"{price_usd_per_h:,.5f}".rstrip("0")
    whole, _, cents = exact.partition(".")
    return f"${whole}.{cents:<02}/h"


def _certain(text: str, parse: Callable[[str], float]) -> float:
    try:
        return parse(text)
    except ValueError:
        if dashed := _DASHED.fullmatch(text):
            example = f"{dashed[1]} to {dashed[2]}"
            raise ValueError(f"{text!r} is not a range: write it like {example}") from None
        raise


def _split(text: str, wanted: str) -> tuple[float, str]:
    if len(text) > _LONGEST:
        raise ValueError(f"'{text[:40]}…' is too long for {wanted}")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {wanted}")
    return float(match["number"]), match["unit"] or ""


def _quantity(text: str, factors: Mapping[str, float], wanted: str) -> float:
    number, unit = _split(text, wanted)
    if unit not in factors:
        raise ValueError(f"{text!r} is not {wanted}")
    factor = factors[unit]
    # 35% is 35/100, the nearest number to 0.35; 35 * 0.01 is not
    return _finite(number * factor if factor >= 1 else number / round(1 / factor), text)


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is too large")
    return value


def _zero(text: str) -> bool:
    return re.fullmatch(r"\s*0+(?:\.0*)?\s*", text) is not None


def _is_bare(text: str) -> bool:
    return re.fullmatch(_NUMBER, text.strip()) is not None


def _trailing_unit(text: str) -> str:
    match = _QUANTITY.fullmatch(text)
    if match is None or not match["unit"] or any(map(str.isdigit, match["unit"])):
        return ""
    # a magnitude belongs to its own number: "350 to 1.2k rps" starts at 350, not at 350k
    return " " + _LEADING_MAGNITUDE.sub("", match["unit"]).strip()


def _two_readings(high: str, low: float) -> str:
    """Return the magnitude that ``8 to 20k`` leaves open: 8 or 8k; empty when there is no doubt."""
    match = _QUANTITY.fullmatch(high)
    magnitude = _LEADING_MAGNITUDE.match(match["unit"] or "") if match else None
    if match is None or magnitude is None or low > float(match["number"]):
        return ""
    return magnitude[0]


def _example(parts: list[str]) -> str:
    return f"{parts[0]} to {parts[-1]}"
