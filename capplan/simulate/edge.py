"""What the edge keeps of the answers: the cache's settings, and which classes it knows."""

from __future__ import annotations

from capplan.model.caching import hit_ratio, zipf
from capplan.results.simulation import Setting
from capplan.simulate.growth import peak_requests_rps
from capplan.simulate.kernel.setup import Cache
from capplan.simulate.scene import Scene
from capplan.simulate.setting import setting
from capplan.units import format_count, format_duration, format_share


def cache_settings(scene: Scene) -> tuple[Setting, ...]:
    """Return the settings of the cache, with the hit ratio that its size and time foretell."""
    given = scene.plan.saleday.limits.cache
    kept = [step for step in scene.steps if step.cacheable > 0]
    catalogue = given.catalogue * max(len(kept), 1)
    per_visit = sum(step.per_visit * step.cacheable for step in kept)
    rate_rps = peak_requests_rps(scene) * per_visit / scene.per_visit
    places = given.places or max(catalogue // 10, 1)
    each = zipf(given.catalogue, given.zipf)
    ratio = hit_ratio(each, places // max(len(kept), 1), rate_rps / max(len(kept), 1), given.ttl)
    share = per_visit / scene.per_visit
    return (
        setting("cache", "places", given.places, places, "objects",
                f"of {format_count(catalogue)}; at the planned peak {format_share(ratio)} of what "
                f"may be kept is found, {format_share(ratio * share)} of all requests"),
        setting("cache", "ttl", None, given.ttl, "s",
                f"each object is asked for once per {format_duration(given.ttl)} at most"
                if given.collapsing else "without collapsing: all who ask meanwhile go on"),
    )  # fmt: skip


def edge_cache(scene: Scene, places: float) -> Cache:
    """Return the cache as it is simulated: in a part of the sale, for a part of the objects.

    So each object is asked for as often, and a cold cache fills as fast, as in the whole.
    """
    given = scene.plan.saleday.limits.cache
    return Cache(
        places=max(round(places * scene.share), 1),
        ttl_s=given.ttl,
        collapses=given.collapsing,
        catalogue=max(round(given.catalogue * scene.share), 1),
        zipf=given.zipf,
        warm=given.warm,
    )
