"""What customers look at: the front page, the shelves, the search, a product. Reads only."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

PAGE_SIZE = 48
SORTS = {
    "popular": "popularity DESC",
    "cheapest": "price_cents, id",
    "dearest": "price_cents DESC, id",
    "offers": "(was_cents - price_cents) * 100 / was_cents DESC, id",
}
_CARD = "p.id, p.department, p.name, p.description, p.price_cents, p.was_cents, p.stock"


@dataclass(frozen=True)
class Card:
    """A product as it lies on a shelf."""

    id: int
    department: str
    name: str
    text: str
    price_cents: int
    was_cents: int
    stock: int


@dataclass(frozen=True)
class Facet:
    """A department: how many products of the shelf are in it and in stock, and from what price."""

    slug: str
    title: str
    count: int
    from_cents: int


@dataclass(frozen=True)
class Shelf:
    """One page of products, and the departments that the whole shelf falls into."""

    cards: list[Card]
    facets: list[Facet]
    page: int
    total: int

    @property
    def pages(self) -> int:
        """The number of pages, at least 1."""
        return max(1, -(-self.total // PAGE_SIZE))


@dataclass(frozen=True)
class ProductPage:
    """A product and what else its customers might like."""

    product: Card
    similar: list[Card]
    bought_together: list[Card]


def browse(connection: sqlite3.Connection, department: str | None, sort: str, page: int) -> Shelf:
    """Return a page of the shop, or of one department, in the order named by ``sort``."""
    where, values = ("p.department = ?", [department]) if department else ("1", [])
    cards = connection.execute(
        f"SELECT {_CARD} FROM products p WHERE {where} ORDER BY {SORTS[sort]} LIMIT ? OFFSET ?",
        [*values, PAGE_SIZE, _offset(page)],
    )
    total = connection.execute(f"SELECT count(*) FROM products p WHERE {where}", values)
    facets = connection.execute(
        "SELECT d.slug, d.title, count(*), min(p.price_cents)"
        " FROM products p JOIN departments d ON d.slug = p.department"
        " WHERE p.stock > 0 GROUP BY d.slug ORDER BY d.title"
    )
    return Shelf(_cards(cards), [Facet(*row) for row in facets], page, total.fetchone()[0])


def search(connection: sqlite3.Connection, text: str, page: int) -> Shelf:
    """Return the products that contain every word of ``text``, best match first."""
    words = _words(text)
    if not words:
        return Shelf([], [], page, 0)
    match = " ".join(f'"{word}"*' for word in words)
    cards = connection.execute(
        "SELECT p.id, p.department, p.name, snippet(product_search, 1, '', '', '…', 24),"
        " p.price_cents, p.was_cents, p.stock"
        " FROM product_search JOIN products p ON p.id = product_search.rowid"
        " WHERE product_search MATCH ? ORDER BY bm25(product_search, 8.0, 1.0) LIMIT ? OFFSET ?",
        (match, PAGE_SIZE, _offset(page)),
    )
    total = connection.execute(
        "SELECT count(*) FROM product_search WHERE product_search MATCH ?", (match,)
    )
    facets = connection.execute(
        "SELECT d.slug, d.title, count(*), min(p.price_cents)"
        " FROM product_search JOIN products p ON p.id = product_search.rowid"
        " JOIN departments d ON d.slug = p.department"
        " WHERE product_search MATCH ? AND p.stock > 0 GROUP BY d.slug ORDER BY d.title",
        (match,),
    )
    return Shelf(_cards(cards), [Facet(*row) for row in facets], page, total.fetchone()[0])


def product_page(connection: sqlite3.Connection, product: int) -> ProductPage | None:
    """Return a product with its neighbours, or None when there is no such product."""
    found = _cards(connection.execute(f"SELECT {_CARD} FROM products p WHERE p.id = ?", (product,)))
    if not found:
        return None
    similar = connection.execute(
        f"SELECT {_CARD} FROM product_search JOIN products p ON p.id = product_search.rowid"
        " WHERE product_search MATCH ? AND p.id != ? AND p.stock > 0"
        " ORDER BY bm25(product_search, 8.0, 1.0) LIMIT 6",
        (_like(found[0]), product),
    )
    bought_together = connection.execute(
        f"SELECT {_CARD} FROM order_lines mine"
        " JOIN order_lines other ON other.order_id = mine.order_id"
        " JOIN products p ON p.id = other.product AND p.id != mine.product"
        " WHERE mine.product = ? GROUP BY p.id ORDER BY count(*) DESC, p.id LIMIT 4",
        (product,),
    )
    return ProductPage(found[0], _cards(similar), _cards(bought_together))


def _like(card: Card) -> str:
    """Return a full-text query for what is called alike or, next to that, described alike."""
    words = re.findall(r"[^\W\d]{4,}", f"{card.name} {card.text}".lower())
    return " OR ".join(f'"{word}"' for word in list(dict.fromkeys(words))[:8])


def _words(text: str) -> list[str]:
    """Return at most eight plain words, so that no one can write full-text query syntax."""
    return re.findall(r"\w+", text)[:8]


def _offset(page: int) -> int:
    return (page - 1) * PAGE_SIZE


def _cards(rows: sqlite3.Cursor) -> list[Card]:
    return [Card(*row) for row in rows.fetchall()]
