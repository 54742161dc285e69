"""The edge: what is refused before it reaches the gateway, at no cost for what is behind.

A web application firewall (WAF) learns to recognise an attack: from then on it refuses most of the
bots, and a few people. A rule per source allows each source so many requests in a window of time;
what a source sends beyond that is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from capplan.simulate.kernel import desks, rng
from capplan.simulate.kernel import tally as t
from capplan.simulate.kernel.calls import call
from capplan.simulate.kernel.clients import kind_of, refused
from capplan.simulate.kernel.jit import at, jitted

SOURCE = np.dtype([("window", "i8"), ("asked", "i8")])
FIELDS = [
    ("waf_from_s", "f8"),
    ("waf_catches", "f8"),  # share of bots that are recognised
    ("waf_mistakes", "f8"),  # share of requests of people that are taken for a bot's
    ("sources", "i8"),  # of all bots, one after the other
    ("source_limit", "i8"),  # requests in a window; 0: no rule
    ("source_window_s", "f8"),
    ("source_mistakes", "f8"),  # share of requests of people that exceed the rule
]


@jitted
def passes(w: Any, i: int) -> bool:
    """Let call ``i`` through, or refuse it."""
    kind = kind_of(w, call(w, i).kind)
    if w.now_s >= w.waf_from_s:
        share = w.waf_catches if kind.bot == 1 else w.waf_mistakes
        if share > 0 and rng.uniform(w, rng.EDGE) < share:
            return _refuses(w, i, t.WAF)
    if w.source_limit > 0 and not _within_rule(w, kind):
        return _refuses(w, i, t.PER_SOURCE)
    return True


@jitted
def takes_in(w: Any, i: int) -> bool:
    """Let call ``i`` on to the rules, unless there is too much work before it."""
    return desks.has_time(w, desks.WAF) or _refuses(w, i, t.WAF_FULL)


@jitted
def _refuses(w: Any, i: int, reason: int) -> bool:
    desks.refuses(w, desks.WAF)
    refused(w, i, reason)
    return False


@jitted
def _within_rule(w: Any, kind: Any) -> bool:
    if kind.bot == 0:
        return w.source_mistakes <= 0 or rng.uniform(w, rng.EDGE) >= w.source_mistakes
    number = kind.first_source + int(rng.uniform(w, rng.BOTS) * kind.source_count)
    source = at(w.sources, number, SOURCE)
    window = int(w.now_s / w.source_window_s) + 1
    if source.window != window:
        source.window, source.asked = window, 0
    source.asked += 1
    return source.asked <= w.source_limit
