"""The example shop, as a real process and over real HTTP."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest
import requests

ROOT = Path(__file__).parents[2]
GOOD_CARD = {"card": "4242 4242 4242 4242"}
DECLINED_CARD = {"card": "4000 0000 0000 0002"}


@dataclass(frozen=True)
class RunningShop:
    process: subprocess.Popen[str]
    url: str

    def books(self) -> dict[str, int]:
        with customer() as session:
            books: dict[str, int] = session.get(f"{self.url}/stats", timeout=10).json()
        return books


def start_shop(
    *options: str, python: tuple[str, ...] = (), stderr: int | IO[str] = subprocess.PIPE
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *python, "examples/shop", "--port", "0", "--lifetime", "60", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


@contextmanager
def running_shop(*options: str) -> Iterator[RunningShop]:
    """Run a shop that declines only the test card; it must have nothing to complain about."""
    # A file, because a pipe that nobody reads fills up with tracebacks and stops the shop.
    with TemporaryFile("w+") as complaints:
        process = start_shop("--decline-rate", "0", *options, stderr=complaints)
        try:
            assert process.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert address
            yield RunningShop(process, address.group())
        finally:
            process.terminate()
            process.communicate(timeout=20)
            complaints.seek(0)
            print(complaints.read(), file=sys.stderr)
        assert complaints.tell() == 0


def customer() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy between the test and loopback
    return session


def products_on(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'href="/product/(\d+)"', page)]


def stock_of(database: Path, product: int) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (stock,) = connection.execute(
            "SELECT stock FROM products WHERE id = ?", (product,)
        ).fetchone()
    return int(stock)


def test_a_customer_finds_a_product_and_buys_two_of_it() -> None:
    with running_shop() as shop, customer() as me:
        shelf = me.get(f"{shop.url}/products?department=garden").text
        name = re.findall(r'href="/product/\d+">([^<&]+)</a>', shelf)[0]
        found = products_on(me.get(f"{shop.url}/search", params={"q": name}).text)
        assert name in me.get(f"{shop.url}/product/{found[0]}").text

        cart = me.post(f"{shop.url}/cart", data={"product": found[0], "quantity": 2})
        assert cart.url == f"{shop.url}/cart"
        assert name in cart.text
        assert name in me.get(f"{shop.url}/checkout").text
        order = me.post(f"{shop.url}/checkout", data=GOOD_CARD)
        assert order.url == f"{shop.url}/order/1"
        assert "Order 1 is paid" in order.text
        assert "nothing in it" in me.get(f"{shop.url}/cart").text

        books = shop.books()
        assert (books["orders"], books["units_sold"], books["units_reserved"]) == (1, 2, 0)
        assert books["remaining_stock"] + 2 == books["initial_stock"]
        assert me.get(f"{shop.url}/health").json() == {"status": "ok"}


def test_shelves_have_pages_that_do_not_overlap_and_departments_that_do_not_mix() -> None:
    with running_shop("--products", "1000") as shop, customer() as me:

        def shelf(query: str) -> list[int]:
            return products_on(me.get(f"{shop.url}/products?{query}").text)

        first, second = shelf("department=toys&page=1"), shelf("department=toys&page=2")
        assert len(first) == len(second) == 48
        assert not set(first) & set(second)
        assert not set(first + second) & set(shelf("department=garden"))
        assert shelf("page=99999") == []
        assert shelf("page=-1") == shelf("page=1")
        assert me.get(f"{shop.url}/products?department=weapons").status_code == 404
        assert me.get(f"{shop.url}/products?sort=stock;--").status_code == 404


def test_the_same_seed_makes_the_same_shop_and_another_seed_another() -> None:
    def front_page(seed: str) -> str:
        with running_shop("--products", "200", "--seed", seed) as shop, customer() as me:
            return me.get(shop.url).text

    assert front_page("1") == front_page("1")
    assert front_page("1") != front_page("2")


def test_what_a_customer_types_is_text_and_never_markup_or_query_syntax() -> None:
    with running_shop("--products", "200") as shop, customer() as me:
        page = me.get(f"{shop.url}/search", params={"q": '"><script>alert(1)</script>'}).text
        assert "<script>" not in page
        assert 'value="&#34;&gt;&lt;script&gt;' in page
        for words in (
            '" OR NEAR(',
            "name:*",
            "NOT oak",
            "'; DROP TABLE products",
            "_",
            "²",
            "\x00",
            "",
        ):
            assert me.get(f"{shop.url}/search", params={"q": words}).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_forty_customers_buy_at_once_what_is_there_five_times(workers: str, tmp_path: Path) -> None:
    database = tmp_path / "shop.sqlite3"
    together = threading.Barrier(40, timeout=20)

    with running_shop("--database", str(database), "--workers", workers) as shop:
        with closing(sqlite3.connect(database)) as connection:
            (scarce,) = connection.execute("SELECT id FROM products WHERE stock = 5").fetchone()

        def buy(_: int) -> int:
            with customer() as me:
                me.post(f"{shop.url}/cart", data={"product": scarce}).raise_for_status()
                together.wait()
                return me.post(f"{shop.url}/checkout", data=GOOD_CARD).status_code

        with ThreadPoolExecutor(40) as crowd:
            answers = sorted(crowd.map(buy, range(40)))
        books = shop.books()

    assert answers == [200] * 5 + [409] * 35
    assert stock_of(database, scarce) == 0
    assert (books["orders"], books["units_sold"], books["units_reserved"]) == (5, 5, 0)
    assert books["units_sold"] + books["remaining_stock"] == books["initial_stock"]


def test_a_declined_card_gives_the_goods_back_and_leaves_the_cart_as_it_was(tmp_path: Path) -> None:
    database = tmp_path / "shop.sqlite3"
    with running_shop("--database", str(database)) as shop, customer() as me:
        before = stock_of(database, 7)
        me.post(f"{shop.url}/cart", data={"product": 7, "quantity": 3})
        assert me.post(f"{shop.url}/checkout", data=DECLINED_CARD).status_code == 402
        assert stock_of(database, 7) == before
        books = shop.books()
        assert (books["orders"], books["declined"], books["units_sold"]) == (0, 1, 0)

        assert me.post(f"{shop.url}/checkout", data=GOOD_CARD).status_code == 200
        assert stock_of(database, 7) == before - 3
        assert shop.books()["balanced"] is True


def test_what_cannot_be_granted_is_refused_and_changes_nothing() -> None:
    with running_shop() as shop, customer() as me, customer() as stranger:
        cart, checkout = f"{shop.url}/cart", f"{shop.url}/checkout"
        assert me.post(checkout, data=GOOD_CARD).status_code == 409  # nothing in the cart
        assert me.post(cart, data={"product": 999_999}).status_code == 404
        assert me.post(cart, data={"product": 7, "quantity": 0}).status_code == 400
        assert me.post(cart, data={"product": "7 OR 1"}).status_code == 400
        assert me.post(cart, data={"product": 7, "quantity": "9" * 5000}).status_code == 413
        assert me.get(f"{shop.url}/product/999999").status_code == 404

        me.post(cart, data={"product": 7})
        order = me.post(checkout, data=GOOD_CARD).url
        assert stranger.get(order).status_code == 404
        assert shop.books()["orders"] == 1


def test_a_kept_database_reopens_with_its_books_and_frees_what_nobody_paid(tmp_path: Path) -> None:
    kept = ("--database", str(tmp_path / "shop.sqlite3"), "--products", "100")
    with running_shop(*kept) as shop, customer() as me:
        for _ in range(2):
            me.post(f"{shop.url}/cart", data={"product": 7})
            me.post(f"{shop.url}/checkout", data=GOOD_CARD)
    with closing(sqlite3.connect(tmp_path / "shop.sqlite3")) as connection, connection:
        connection.execute("UPDATE orders SET state = 'reserved' WHERE id = 2")  # as after a crash
    with running_shop(*kept) as shop:
        books = shop.books()
    assert (books["orders"], books["units_sold"], books["units_reserved"]) == (1, 1, 0)
    assert books["balanced"] is True

    other = start_shop(*kept, "--seed", "2")
    _, stderr = other.communicate(timeout=20)
    assert other.returncode == 2
    assert "it holds 100 products of seed 1" in stderr


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_stops_with_exit_0(number: signal.Signals, workers: str) -> None:
    with running_shop("--workers", workers, "--products", "50") as shop:
        shop.books()  # it serves
        shop.process.send_signal(number)
        assert shop.process.wait(timeout=20) == 0


def test_it_stops_by_itself_when_its_lifetime_is_over() -> None:
    process = start_shop("--lifetime", "0.5", "--products", "50")
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, "")


def test_workers_leave_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    database = str(tmp_path / "shop.sqlite3")
    with running_shop("--workers", "2", "--products", "50", "--database", database) as shop:
        shop.books()
        shop.process.kill()
        # The workers hold the other end of this pipe: it ends when the last of them has left.
        shop.process.communicate(timeout=20)
        port = int(shop.url.rpartition(":")[2])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_taken_port_is_named_and_exits_4() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = start_shop("--port", str(port))
        stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (4, "")
    assert f"port {port} on 127.0.0.1 is taken" in stderr
    assert "--port" in stderr.partition("hint:")[2]
    assert "Traceback" not in stderr


def test_missing_packages_are_named_with_the_command_that_installs_them() -> None:
    process = start_shop(python=("-S",))  # without site-packages
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (4, "")
    assert "pip install starlette uvicorn" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("path", "code"), [("missing/shop.sqlite3", 4), ("notes.txt", 4), ("other.sqlite3", 2)]
)
def test_a_file_that_is_not_its_database_is_refused_and_left_alone(
    path: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary, " * 100)
    with closing(sqlite3.connect(tmp_path / "other.sqlite3")) as connection:
        connection.execute("CREATE TABLE precious (thing)")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    process = start_shop("--database", str(tmp_path / path))
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert str(tmp_path / path) in stderr
    assert "Traceback" not in stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
