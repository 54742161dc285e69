"""The user scripts run with stock Locust, in a process of its own, against the example shop."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

pytestmark = pytest.mark.load

ROOT = Path(__file__).parents[2]

EAGER_BUYERS = f"""
import sys
sys.path.insert(0, {str(ROOT / "locustfiles")!r})
import shop
from locust import constant

class EagerBuyer(shop.Buyer):
    wait_time = constant(0)
"""
EVERY_TRIP_PAYS = (
    EAGER_BUYERS
    + """
shop.CARTS_LEFT_BEHIND = 0.0
"""
)


@contextmanager
def running_shop(*options: str) -> Iterator[str]:
    command = [sys.executable, "examples/shop", "--port", "0", "--lifetime", "60", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert address
            yield address.group()
        finally:
            process.terminate()


def run_locust(url: str, locustfile: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Run five users without a browser and return Locust's statistics by method and name."""
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "-H", url]
    command += ["--headless", "--json", "-u", "5", "-r", "5", "--stop-timeout", "10", *options]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return {f"{entry['method']} {entry['name']}": entry for entry in json.loads(done.stdout)}


def books(url: str) -> dict[str, int]:
    with urlopen(f"{url}/stats", timeout=10) as answer:
        counted: dict[str, int] = json.load(answer)
    return counted


def failures(stats: dict[str, dict[str, Any]]) -> int:
    return sum(entry["num_failures"] for entry in stats.values())


def test_the_shop_script_runs_without_failures_and_the_books_balance() -> None:
    with running_shop() as url:
        stats = run_locust(url, ROOT / "locustfiles/shop.py", "-t", "3s")
        after = books(url)
    assert stats["GET /"]["num_requests"] >= 5  # each user enters by the front page
    assert failures(stats) == 0
    assert after["units_sold"] + after["remaining_stock"] == after["initial_stock"]


def test_buyers_take_sold_out_and_declined_for_answers_and_the_books_balance(
    tmp_path: Path,
) -> None:
    eager, database = tmp_path / "eager.py", tmp_path / "shop.sqlite3"
    eager.write_text(EAGER_BUYERS)
    with running_shop(
        "--products", "40", "--decline-rate", "0.3", "--database", str(database)
    ) as url:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE products SET stock = 1, initial_stock = 1")
        stats = run_locust(url, eager, "-t", "3s", "EagerBuyer")
        after = books(url)
    assert set(stats) == {
        "GET /",
        "GET /products",
        "GET /product/[id]",
        "POST /cart",
        "GET /cart",
        "GET /checkout",
        "POST /checkout",
        "GET /order/[id]",
    }
    assert failures(stats) == 0
    assert after["declined"] > 0
    assert stats["GET /order/[id]"]["num_requests"] == after["orders"] == after["units_sold"]
    assert 0 < after["orders"] <= after["initial_stock"] == 40
    assert after["units_sold"] + after["remaining_stock"] == after["initial_stock"]


def test_the_smallest_script_asks_for_the_front_page_and_nothing_else() -> None:
    with running_shop("--products", "50") as url:
        stats = run_locust(url, ROOT / "locustfiles/single.py", "-t", "1s")
    assert set(stats) == {"GET /"}
    assert failures(stats) == 0


def test_the_books_balance_after_a_load_test(tmp_path: Path) -> None:
    """Every fifth task of a user pays, however short the run: nobody leaves a cart behind."""
    plan, eager = tmp_path / "sale.yaml", tmp_path / "eager.py"
    eager.write_text(EVERY_TRIP_PAYS)
    plan.write_text(
        "sale: {start: 2026-11-27T12:00:00+01:00, duration: 2 h}\n"
        "audience: [{channel: email, reach: 40k, visits: 2%, arrive: within 1 h}]\n"
        "visit: {requests: 20 to 60}\n"
    )
    with running_shop() as url:
        command = [sys.executable, "-m", "capplan", "loadtest", str(plan), "--target", url]
        command += ["--locustfile", str(eager), "--time-budget", "8s", "--json"]
        command += ["--", "EagerBuyer"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
        after = books(url)
    assert done.returncode in (0, 5), done.stderr
    result = json.loads(done.stdout)
    served = sum(trial["successes"] for trial in result["trials"])
    assert served > 100
    assert {"GET /products", "GET /product/[id]", "POST /checkout"} <= set(result["mix"])
    assert after["orders"] > 0
    assert after["units_reserved"] == 0
    assert after["units_sold"] + after["remaining_stock"] == after["initial_stock"]
