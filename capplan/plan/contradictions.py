"""Settings of the day of the sale that each are possible, and cannot be meant together."""

from __future__ import annotations

from collections.abc import Iterator

from capplan.plan.saleday import USUAL, BotGroup, Saleday
from capplan.units import format_duration

_MOST_RELOADS = 100


def contradictions(saleday: Saleday, lasts_s: float, service_timeout_s: float) -> Iterator[str]:
    """Yield what is wrong, key first, with a sale of ``lasts_s`` seconds.

    Only what stands in the plan is held against it, never a default.
    """
    timeout_s = saleday.timeout or service_timeout_s
    yield from _clients(saleday, timeout_s, lasts_s)
    yield from _queue(saleday, timeout_s)
    yield from _detection(saleday, lasts_s)
    yield from _deciding(saleday)
    yield from _priorities(saleday)
    for group in saleday.bots:
        yield from _bots(group, lasts_s)
        yield from _buyers(group, saleday)
    yield from _impatient(saleday, timeout_s)
    yield from _between(saleday, lasts_s)
    if twice := next((n for n in saleday.protections if saleday.protections.count(n) > 1), None):
        yield f"protections: {twice!r} stands twice"


def _clients(saleday: Saleday, timeout_s: float, lasts_s: float) -> Iterator[str]:
    pauses_s = saleday.backoff * (2.0 ** (saleday.attempts - 1) - 1)
    if saleday.attempts * timeout_s + pauses_s > lasts_s:
        yield (
            f"attempts: {saleday.attempts} attempts of {format_duration(timeout_s)} with their "
            f"pauses last {format_duration(saleday.attempts * timeout_s + pauses_s)}, and the sale "
            f"{format_duration(lasts_s)}: lower attempts, timeout or backoff"
        )
    if saleday.attempts == 1 and "retry_budget" in saleday.limits.model_fields_set:
        yield "limits.retry_budget: with one attempt there are no retries: raise attempts"


def _queue(saleday: Saleday, timeout_s: float) -> Iterator[str]:
    limits = saleday.limits
    bounded = [name for name in ("queue", "queue_timeout") if getattr(limits, name) is not None]
    if bounded and "queue-bound" not in saleday.protections:
        yield (
            f"limits.{bounded[0]}: it bounds a queue, but queue-bound is not one of the "
            f"protections: add it, or leave out limits.{bounded[0]}"
        )
    if saleday.workers is not None and not saleday.sharing:
        yield (
            "workers: they share the processors of a server, and with discipline: fifo nothing "
            "does: leave workers out, or set discipline: processor sharing"
        )
    if limits.queue_timeout is not None and saleday.sharing and saleday.workers is None:
        yield (
            "limits.queue_timeout: with processor sharing nobody waits in a queue: leave it out, "
            "give workers, or set discipline: fifo"
        )
    if limits.queue_timeout is not None and limits.queue_timeout >= timeout_s:
        yield (
            f"limits.queue_timeout: nobody waits {format_duration(limits.queue_timeout)} in a "
            f"queue when clients hang up after {format_duration(timeout_s)}: make it shorter"
        )


def _impatient(saleday: Saleday, timeout_s: float) -> Iterator[str]:
    eager = saleday.refreshers
    if eager and eager.after >= timeout_s:
        yield (
            f"refreshers.after: nobody reloads after {format_duration(eager.after)} when clients "
            f"hang up after {format_duration(timeout_s)}: make it shorter"
        )
    if eager and eager.times > _MOST_RELOADS:
        yield f"refreshers.times: {eager.times} is more than {_MOST_RELOADS}"
    if saleday.throttle is not None and saleday.throttle < 1:
        yield (
            f"throttle: {saleday.throttle:g} holds back requests that would be answered, too: use "
            "1 or more, such as 2x"
        )


def _between(saleday: Saleday, lasts_s: float) -> Iterator[str]:
    slow = saleday.slow
    if slow and slow.factor < 1:
        yield f"slow.factor: {slow.factor:g} makes them quick: use more than 1, such as 20x"
    if saleday.connections is None and "multiplex" in saleday.protections:
        yield (
            "protections: multiplex needs connections that answer in order without it: give "
            "connections, or leave multiplex out"
        )
    for one in saleday.downstream:
        if one.outage and one.outage.start >= lasts_s:
            yield (
                f"downstream: the outage of {one.name!r} begins "
                f"{format_duration(one.outage.start)} after the start, and the sale lasts "
                f"{format_duration(lasts_s)}"
            )
        if one.timeout is not None and one.timeout <= one.service_time:
            yield (
                f"downstream: {one.name!r} takes {format_duration(one.service_time)} on average, "
                f"and calls are given up after {format_duration(one.timeout)}: raise its timeout"
            )


def _deciding(saleday: Saleday) -> Iterator[str]:
    limits = saleday.limits
    if limits.gateway_refusal_cost and limits.gateway_capacity is None:
        yield (
            "limits.gateway_refusal_cost: a share of what a request costs the gateway, which is "
            "nothing without limits.gateway_capacity: give it, or leave both out"
        )
    if limits.waf.refusal_cost and limits.waf.capacity is None:
        yield (
            "limits.waf.refusal_cost: a share of what a request costs the WAF, which is nothing "
            "without limits.waf.capacity: give it, or leave both out"
        )


def _detection(saleday: Saleday, lasts_s: float) -> Iterator[str]:
    limits = saleday.limits
    if "lag" in limits.waf.model_fields_set and limits.waf.lag >= lasts_s:
        yield (
            f"limits.waf.lag: a WAF that learns for {format_duration(limits.waf.lag)} is no help "
            f"in a sale of {format_duration(lasts_s)}: shorten it, or leave waf out"
        )
    elif "lag" in limits.waf.model_fields_set and saleday.bots:
        begins_s = min(group.start for group in saleday.bots)
        if begins_s + limits.waf.lag >= lasts_s:
            yield (
                f"limits.waf.lag: bots that start after {format_duration(begins_s)} are not "
                f"recognised before the end of the sale of {format_duration(lasts_s)}: shorten it, "
                "or leave waf out"
            )
    if "window" in limits.per_source.model_fields_set and limits.per_source.window > lasts_s:
        yield (
            f"limits.per_source.window: {format_duration(limits.per_source.window)} are longer "
            f"than the sale of {format_duration(lasts_s)}"
        )


def _priorities(saleday: Saleday) -> Iterator[str]:
    asked = "priorities" in saleday.protections and saleday.protections != USUAL
    levels = {one.priority for one in saleday.classes}
    if asked and len(levels) == 1:
        yield (
            f"protections: priorities make no difference where every class has priority "
            f"{levels.pop()}: give them different ones, or leave priorities out"
        )


def _buyers(group: BotGroup, saleday: Saleday) -> Iterator[str]:
    last = saleday.classes[-1].name if saleday.classes else None
    if group.buys and last and group.target not in (None, last):
        yield (
            f"bots: {group.name!r} buy, which is to ask for {last!r}, and not for "
            f"{group.target!r}: leave target out, or buys"
        )


def _bots(group: BotGroup, lasts_s: float) -> Iterator[str]:
    if group.start >= lasts_s:
        yield (
            f"bots: {group.name!r} start {format_duration(group.start)} after the start, and the "
            f"sale lasts {format_duration(lasts_s)}"
        )
    if group.duration is not None and group.ramp > group.duration:
        yield (
            f"bots: {group.name!r} last {format_duration(group.duration)} and never reach their "
            f"rate in a ramp of {format_duration(group.ramp)}"
        )
