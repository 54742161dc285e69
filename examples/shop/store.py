"""The shop's SQLite file: its tables, its connections, and the threads that use them.

SQLite calls block, so none runs on the event loop. Reads go to a few threads, each with its own
connection: in WAL mode readers neither wait for the writer nor for each other. Writes go to a
single thread, because SQLite admits one writer at a time anyway: queueing for it in Python is
first come, first served, while SQLite's own busy handler polls, sleeps up to 100 ms between tries
and lets anyone overtake. The busy timeout is still set, for the other worker processes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from .catalogue import DEPARTMENTS, products
from .till import abandon_reservations

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[sqlite3.Connection, P], T]

READERS = 4
BUSY_TIMEOUT_S = 5.0
APPLICATION_ID = 0x5C0F  # marks the file as this shop's, see `pragma application_id`

SCHEMA = """
CREATE TABLE origin (products INTEGER NOT NULL, seed INTEGER NOT NULL);

CREATE TABLE departments (
    slug  TEXT PRIMARY KEY,
    title TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE products (
    id            INTEGER PRIMARY KEY,
    department    TEXT NOT NULL REFERENCES departments,
    name          TEXT NOT NULL,
    price_cents   INTEGER NOT NULL CHECK (price_cents > 0),
    was_cents     INTEGER NOT NULL CHECK (was_cents >= price_cents),
    popularity    REAL NOT NULL,
    stock         INTEGER NOT NULL CHECK (stock >= 0),
    initial_stock INTEGER NOT NULL,
    description   TEXT NOT NULL
);
CREATE INDEX products_by_department ON products (department, popularity DESC);
CREATE INDEX products_by_popularity ON products (popularity DESC);

CREATE VIRTUAL TABLE product_search USING fts5 (
    name, description, content = 'products', content_rowid = 'id', tokenize = 'porter unicode61'
);

CREATE TABLE cart_lines (
    session  TEXT NOT NULL,
    product  INTEGER NOT NULL REFERENCES products,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (session, product)
) WITHOUT ROWID;

CREATE TABLE orders (
    id          INTEGER PRIMARY KEY,
    session     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('reserved', 'paid', 'declined', 'abandoned')),
    total_cents INTEGER NOT NULL
);
CREATE INDEX orders_by_state ON orders (state);

CREATE TABLE order_lines (
    order_id    INTEGER NOT NULL REFERENCES orders,
    product     INTEGER NOT NULL REFERENCES products,
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, product)
) WITHOUT ROWID;
CREATE INDEX order_lines_by_product ON order_lines (product);
"""


class NotThisShop(Exception):
    """The database file holds something else; the message says what."""


class Store:
    """Runs queries against one database file without blocking the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, "reader", initializer=self._open)
        self._writer = ThreadPoolExecutor(1, "writer", initializer=self._open)

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``query`` in a reading thread; all it reads is of one moment."""

        def run() -> T:
            return _in_transaction(self._own.connection, "DEFERRED", query, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``query`` in the writing thread; it takes effect whole, or raises and not at all."""

        def run() -> T:
            return _in_transaction(self._own.connection, "IMMEDIATE", query, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    def close(self) -> None:
        """Finish the queries under way and close every connection."""
        self._readers.shutdown()
        self._writer.shutdown()
        for connection in self._connections:
            connection.close()

    def _open(self) -> None:
        self._own.connection = connect(self._path)
        self._connections.append(self._own.connection)


def connect(path: Path) -> sqlite3.Connection:
    """Open ``path`` with the shop's settings; transactions are begun by hand."""
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,  # each is used in one thread, and closed in another
    )
    connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode still safe against a crash
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def prepare(path: Path, count: int, seed: int) -> None:
    """Fill an empty file with a new shop, or reopen the one it holds.

    Raises ``NotThisShop`` when the file holds anything else, ``sqlite3.Error`` when it cannot be
    read or written.
    """
    connection = connect(path)
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            connection.execute("PRAGMA journal_mode = WAL")  # stays with the file
            _in_transaction(connection, "IMMEDIATE", _stock_up, count, seed)
        else:
            _in_transaction(connection, "IMMEDIATE", _reopen, count, seed)
    finally:
        connection.close()


def _in_transaction(
    connection: sqlite3.Connection,
    kind: str,
    query: Query[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    connection.execute(f"BEGIN {kind}")
    with connection:  # commits, or rolls back when the query raises
        return query(connection, *args, **kwargs)


def _stock_up(connection: sqlite3.Connection, count: int, seed: int) -> None:
    for statement in SCHEMA.split(";\n"):  # executescript would commit half-way
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("INSERT INTO origin VALUES (?, ?)", (count, seed))
    connection.executemany(
        "INSERT INTO departments VALUES (?, ?)", [(d.slug, d.title) for d in DEPARTMENTS]
    )
    connection.executemany(
        "INSERT INTO products (id, department, name, description, price_cents, was_cents,"
        " popularity, stock, initial_stock) VALUES (?, ?, ?, ?, ?, ?, ?, ?8, ?8)",
        (astuple(product) for product in products(count, seed)),
    )
    connection.execute("INSERT INTO product_search (product_search) VALUES ('rebuild')")


def _reopen(connection: sqlite3.Connection, count: int, seed: int) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise NotThisShop("it is another program's database")
    had = connection.execute("SELECT products, seed FROM origin").fetchone()
    if had != (count, seed):
        raise NotThisShop(f"it holds {had[0]} products of seed {had[1]}")
    # A crash between reservation and payment leaves goods put aside that nobody will pay for.
    abandon_reservations(connection)
