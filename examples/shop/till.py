"""Where customers pay: carts, orders, and the stock they share.

The law of this module: a unit is on the shelf, reserved or sold, never two of these, whatever
happens at the same time. Stock changes only here, and only inside a write transaction: it is taken
where `stock >= quantity` still holds, and goes back together with the order that held it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

MOST_PER_LINE = 10


class SoldOut(Exception):
    """There is less left of a product than the customer wants; ``name`` is the product's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class CartIsEmpty(Exception):
    """There is nothing to pay for."""


@dataclass(frozen=True)
class Line:
    """A product in a cart or in an order."""

    product: int
    name: str
    quantity: int
    price_cents: int


@dataclass(frozen=True)
class Order:
    """Goods that are put aside (`reserved`), `paid`, or given back (`declined`, `abandoned`)."""

    id: int
    state: str
    total_cents: int
    lines: list[Line]


@dataclass(frozen=True)
class Books:
    """What was sold and what is left, at one moment; every unit is in exactly one place."""

    orders: int
    declined: int
    units_sold: int
    units_reserved: int
    remaining_stock: int
    initial_stock: int

    @property
    def balanced(self) -> bool:
        """Whether sold, reserved and remaining units add up to what the shop started with."""
        accounted = self.units_sold + self.units_reserved + self.remaining_stock
        return accounted == self.initial_stock


def cart(connection: sqlite3.Connection, session: str) -> list[Line]:
    """Return what is in the cart, at today's prices."""
    rows = connection.execute(
        "SELECT p.id, p.name, c.quantity, p.price_cents FROM cart_lines c"
        " JOIN products p ON p.id = c.product WHERE c.session = ? ORDER BY p.name, p.id",
        (session,),
    )
    return [Line(*row) for row in rows.fetchall()]


def total_cents(lines: list[Line]) -> int:
    """Return what the lines cost together."""
    return sum(line.quantity * line.price_cents for line in lines)


def add_to_cart(connection: sqlite3.Connection, session: str, product: int, quantity: int) -> bool:
    """Put a product into the cart; return False when there is no such product.

    Raises ``SoldOut`` when less is left than the cart would hold. The goods are not put aside
    before the checkout: a full cart is no promise.
    """
    found = connection.execute(
        "SELECT p.name, p.stock, coalesce(c.quantity, 0) FROM products p"
        " LEFT JOIN cart_lines c ON c.product = p.id AND c.session = ? WHERE p.id = ?",
        (session, product),
    ).fetchone()
    if found is None:
        return False
    name, stock, already = found
    wanted = min(already + quantity, MOST_PER_LINE)
    if stock < wanted:
        raise SoldOut(name)
    connection.execute(
        "INSERT INTO cart_lines VALUES (?1, ?2, ?3)"
        " ON CONFLICT (session, product) DO UPDATE SET quantity = ?3",
        (session, product, wanted),
    )
    return True


def remove_from_cart(connection: sqlite3.Connection, session: str, product: int) -> None:
    """Take a product out of the cart."""
    connection.execute(
        "DELETE FROM cart_lines WHERE session = ? AND product = ?", (session, product)
    )


def remove_sold_out(connection: sqlite3.Connection, session: str) -> None:
    """Take out of the cart what cannot be delivered any more."""
    connection.execute(
        "DELETE FROM cart_lines WHERE session = ? AND quantity >"
        " (SELECT stock FROM products WHERE id = cart_lines.product)",
        (session,),
    )


def reserve(connection: sqlite3.Connection, session: str) -> Order:
    """Turn the cart into an order and put its goods aside: all of them, or none.

    Raises ``SoldOut`` or ``CartIsEmpty``. Paying takes place afterwards, outside any transaction,
    and is concluded by ``settle``.
    """
    lines = cart(connection, session)
    if not lines:
        raise CartIsEmpty
    for line in lines:
        taken = connection.execute(
            "UPDATE products SET stock = stock - ?1 WHERE id = ?2 AND stock >= ?1",
            (line.quantity, line.product),
        )
        if taken.rowcount == 0:
            raise SoldOut(line.name)
    (order_id,) = connection.execute(
        "INSERT INTO orders (session, state, total_cents) VALUES (?, 'reserved', ?) RETURNING id",
        (session, total_cents(lines)),
    ).fetchone()
    connection.executemany(
        "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
        [(order_id, line.product, line.quantity, line.price_cents) for line in lines],
    )
    connection.execute("DELETE FROM cart_lines WHERE session = ?", (session,))
    return Order(order_id, "reserved", total_cents(lines), lines)


def settle(connection: sqlite3.Connection, session: str, order_id: int, paid: bool) -> None:
    """Conclude a reserved order: sold for good, or its goods back on the shelf and in the cart."""
    if paid:
        connection.execute("UPDATE orders SET state = 'paid' WHERE id = ?", (order_id,))
        return
    _give_back(connection, order_id, "declined")
    connection.execute(
        "INSERT OR IGNORE INTO cart_lines"
        " SELECT ?, product, quantity FROM order_lines WHERE order_id = ?",
        (session, order_id),
    )


def abandon_reservations(connection: sqlite3.Connection) -> None:
    """Put back what is reserved: at the start of the shop nobody is about to pay for it."""
    reserved = connection.execute("SELECT id FROM orders WHERE state = 'reserved'").fetchall()
    for (order_id,) in reserved:
        _give_back(connection, order_id, "abandoned")


def order(connection: sqlite3.Connection, session: str, order_id: int) -> Order | None:
    """Return an order of this session; other people's orders do not exist."""
    found = connection.execute(
        "SELECT id, state, total_cents FROM orders WHERE id = ? AND session = ?",
        (order_id, session),
    ).fetchone()
    if found is None:
        return None
    rows = connection.execute(
        "SELECT p.id, p.name, l.quantity, l.price_cents FROM order_lines l"
        " JOIN products p ON p.id = l.product WHERE l.order_id = ? ORDER BY p.name, p.id",
        (order_id,),
    )
    known_id, state, total = found
    return Order(known_id, state, total, [Line(*row) for row in rows.fetchall()])


def books(connection: sqlite3.Connection) -> Books:
    """Count orders and units; one statement, hence one moment."""
    return Books(
        *connection.execute(
            "WITH units AS (SELECT o.state, sum(l.quantity) AS n FROM orders o"
            "  JOIN order_lines l ON l.order_id = o.id GROUP BY o.state)"
            " SELECT (SELECT count(*) FROM orders WHERE state = 'paid'),"
            " (SELECT count(*) FROM orders WHERE state = 'declined'),"
            " coalesce((SELECT n FROM units WHERE state = 'paid'), 0),"
            " coalesce((SELECT n FROM units WHERE state = 'reserved'), 0),"
            " sum(stock), sum(initial_stock) FROM products"
        ).fetchone()
    )


def _give_back(connection: sqlite3.Connection, order_id: int, state: str) -> None:
    connection.execute("UPDATE orders SET state = ? WHERE id = ?", (state, order_id))
    connection.execute(
        "UPDATE products SET stock = stock + l.quantity FROM order_lines l"
        " WHERE l.order_id = ? AND products.id = l.product",
        (order_id,),
    )
