"""Classes and services side by side: what is drawn, and what is said of it."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from capplan.render.html.inside import inside
from capplan.results.seconds import ActSeconds

START = datetime(2026, 12, 12, 19, 0, tzinfo=UTC)
SECONDS = 600


def act(name: str = "surprise", *protections: str) -> ActSeconds:
    """Ten requests a second to browse, half of them answered in time, and a hundred of bots."""
    half, none = np.array([5.0, 100.0, 105.0]), np.zeros(3)
    rates = {"offered": np.array([10.0, 100.0, 110.0]), "good": half, "refused": none,
             "timed_out": np.array([5.0, 0.0, 5.0]), "queued": np.array([7.0, 0.0, 7.0]),
             "latency_s_p95": np.array([1.5, np.nan, 1.5])}  # fmt: skip
    calls = {"busy": 2.0, "queued": 4.0, "refused": 0.0, "failed": 1.0, "cut_off": 0.0}
    service = {what: np.full((SECONDS, 1), value) for what, value in calls.items()}
    service["breaker"] = np.zeros((SECONDS, 1))
    service["breaker"][100:160] = 1.0
    return ActSeconds(
        act=name, protections=protections, t_s=tuple(range(-10, SECONDS - 10)),
        classes=("browse", "flood", "all"), services=("payment",),
        of_class={what: np.tile(values, (SECONDS, 1)) for what, values in rates.items()},
        of_service=service, of_everybody={},
    )  # fmt: skip


def test_the_last_surprise_is_drawn_without_and_with_protections():
    acts = [act("as planned"), act("as planned", "waf"), act("surprise + bots"),
            act("surprise + bots", "waf"), act("the second sale", "waf")]  # fmt: skip
    shown = inside(acts, START)
    assert shown is not None
    assert [row.name for row in shown.classes] == ["browse", "flood"]
    assert [row.name for row in shown.services] == ["payment"]
    for row in (*shown.classes, *shown.services):
        assert [figure.title for figure in row.figures] == [
            "surprise + bots, unprotected", "surprise + bots, protected",
        ]  # fmt: skip


def test_words_say_what_a_class_got_and_what_a_service_did():
    shown = inside([act()], START)
    assert shown is not None
    assert shown.classes[0].figures[0].line == (
        "6k requests, 50% answered in time, 3k timed out, p95 up to 1.5 s, longest queue 7."
    )
    assert shown.classes[1].figures[0].line == "60k requests, 100% answered in time."
    assert shown.services[0].figures[0].line == (
        "longest queue 4, 600 calls failed or took too long, breaker open for 1 min."
    )


def test_a_class_that_asks_for_nothing_and_a_result_without_seconds_are_drawn_too():
    silent = act()
    nothing = {what: values * 0 for what, values in silent.of_class.items()}
    shown = inside([replace(silent, of_class=nothing, services=())], START)
    assert shown is not None
    assert shown.classes[0].figures[0].line.startswith("0 requests")
    assert shown.services == ()
    assert inside([], START) is None


def test_a_picture_has_as_many_points_as_can_be_seen_whatever_the_length_of_the_sale():
    shown = inside([act()], START)
    longer = replace(
        act(), t_s=tuple(range(20 * SECONDS)),
        of_class={what: np.tile(values, (20, 1)) for what, values in act().of_class.items()},
        of_service={what: np.tile(values, (20, 1)) for what, values in act().of_service.items()},
    )  # fmt: skip
    long = inside([longer], START)
    assert shown is not None
    assert long is not None
    assert len(long.classes[0].figures[0].picture) < 2 * len(shown.classes[0].figures[0].picture)
