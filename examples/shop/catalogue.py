"""What the shop sells: a catalogue drawn from a seed, so that every run sells the same goods."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Department:
    """One category: what it sells, of what, and the price of its typical article."""

    slug: str
    title: str
    articles: tuple[str, ...]
    materials: tuple[str, ...]
    typical_price_eur: float


@dataclass(frozen=True)
class NewProduct:
    """A product as it enters the shop; ``popularity`` orders the shelves, highest first."""

    id: int
    department: str
    name: str
    description: str
    price_cents: int
    was_cents: int
    popularity: float
    stock: int


def _department(
    slug: str, title: str, articles: str, materials: str, price_eur: float
) -> Department:
    return Department(
        slug, title, tuple(articles.split(", ")), tuple(materials.split(", ")), price_eur
    )


DEPARTMENTS = (
    _department(
        "kitchen",
        "Kitchen",
        "Saucepan, Frying Pan, Kettle, Chopping Board, Chef's Knife, Mixing Bowl, Teapot, Grater",
        "Copper, Steel, Cast Iron, Enamel, Beech, Stoneware",
        38,
    ),
    _department(
        "garden",
        "Garden",
        "Spade, Watering Can, Bench, Planter, Secateurs, Lantern, Wheelbarrow, Bird Bath",
        "Oak, Zinc, Terracotta, Ash, Galvanised, Larch",
        46,
    ),
    _department(
        "bedroom",
        "Bed & Bath",
        "Duvet, Pillow, Blanket, Towel, Bath Mat, Dressing Gown, Bed Linen, Laundry Basket",
        "Linen, Cotton, Wool, Down, Bamboo, Flannel",
        52,
    ),
    _department(
        "lighting",
        "Lighting",
        "Desk Lamp, Pendant, Floor Lamp, Wall Light, Table Lamp, Reading Light, String Lights",
        "Brass, Smoked Glass, Paper, Rattan, Chrome, Opal",
        74,
    ),
    _department(
        "outdoor",
        "Outdoor",
        "Tent, Rucksack, Sleeping Bag, Camp Stove, Water Bottle, Rain Jacket, Hammock, Headtorch",
        "Ripstop, Titanium, Canvas, Waxed, Merino, Featherlight",
        68,
    ),
    _department(
        "office",
        "Desk & Office",
        "Notebook, Fountain Pen, Desk Tray, Office Chair, Pinboard, Stapler, Ruler, Bookend",
        "Leather, Walnut, Recycled, Aluminium, Cork, Felt",
        27,
    ),
    _department(
        "toys",
        "Toys & Games",
        "Train Set, Puzzle, Kite, Building Blocks, Dolls' House, Spinning Top, Chess Set, Puppet",
        "Maple, Tin, Painted, Cardboard, Felt, Lime Wood",
        31,
    ),
    _department(
        "cycling",
        "Cycling",
        "Pannier, Bell, Saddle, Helmet, Pump, Mudguard, Bike Light, Handlebar Tape",
        "Leather, Alloy, Waterproof, Carbon, Reflective, Classic",
        43,
    ),
)

_MAKERS = (
    "Alder & Finch",
    "Nordhaven",
    "Bramley",
    "Ostrava Works",
    "Tern",
    "Quillon",
    "Hearth & Hollow",
    "Marlowe",
    "Vintner's Row",
    "Larkspur",
    "Ember & Ash",
    "Coldbrook",
)

_VIRTUES = (
    "Made in small batches and checked by hand before it leaves the workshop",
    "Light enough to carry about, strong enough to be left out in the rain",
    "Designed to be repaired: every part can be ordered on its own",
    "Finished with a plant-based oil that deepens with use",
    "Packs flat, goes together without tools and comes apart as easily",
    "Tested for ten years of daily use, and guaranteed for as long",
    "Made from offcuts that would otherwise have gone to waste",
    "A quiet shape that goes with what you already own",
)

_REASONS = (
    "We have had ours since the shop opened and would not part with it",
    "A good present for someone who has just moved",
    "Customers who bought one mostly came back for a second",
    "The maker sends us only a few of these each season",
    "It replaces three lesser things in the cupboard",
    "Ships in a plain box, without any plastic",
)

_SHARE_NEARLY_GONE = 0.06  # products of which only 1 to 9 are left


def products(count: int, seed: int) -> Iterator[NewProduct]:
    """Draw ``count`` products, the same ones for the same ``seed``."""
    rng = random.Random(f"{seed}.catalogue")
    for product_id in range(1, count + 1):
        department = DEPARTMENTS[product_id % len(DEPARTMENTS)]
        article = rng.choice(department.articles)
        material = rng.choice(department.materials)
        maker = rng.choice(_MAKERS)
        price_cents = _price_cents(rng, department.typical_price_eur)
        on_sale = rng.random() < 0.15
        yield NewProduct(
            id=product_id,
            department=department.slug,
            name=f"{material} {article} {rng.randint(2, 99)} by {maker}",
            description=_description(rng, material, article, maker),
            price_cents=price_cents,
            was_cents=round(price_cents * rng.uniform(1.2, 1.6)) if on_sale else price_cents,
            popularity=rng.paretovariate(1.2),
            stock=rng.randint(1, 9) if rng.random() < _SHARE_NEARLY_GONE else rng.randint(20, 140),
        )


def _price_cents(rng: random.Random, typical_eur: float) -> int:
    """Draw a price round the typical one (lognormal), ending in 95 cents as prices do."""
    return max(1, round(rng.lognormvariate(math.log(typical_eur), 0.6))) * 100 - 5


def _description(rng: random.Random, material: str, article: str, maker: str) -> str:
    width_cm, depth_cm = rng.randint(8, 90), rng.randint(5, 60)
    first, second, third = rng.sample(_VIRTUES, 3)
    return (
        f"A {material.lower()} {article.lower()} from {maker}, {width_cm} × {depth_cm} cm. "
        f"{first}. {second}. {third}. {rng.choice(_REASONS)}."
    )
