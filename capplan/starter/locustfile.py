"""What a visitor of the shop does: plain Locust. Change it until it is like your visitors.

capplan loadtest sale.yaml            finds the load that one server sustains
locust -f locustfile.py               works as well

capplan decides when the next task starts, so a slow server does not get less load. What counts
here is which requests are made, and how often each.
"""

from locust import HttpUser, between, task


class Visitor(HttpUser):
    """Looks at pages. The number behind @task is its weight: 3 to 1 here."""

    wait_time = between(2, 10)  # seconds to read a page, when Locust runs alone

    @task(3)
    def front_page(self) -> None:
        """Every shop has one."""
        self.client.get("/")

    # Give a page with changing addresses one name, so that it is counted as one:
    #
    # @task(5)
    # def product(self) -> None:
    #     number = random.randint(1, 500)
    #     self.client.get(f"/product/{number}", name="/product/[id]")

    # Include what is slow and what earns the money, with payments stubbed:
    #
    # @task(1)
    # def checkout(self) -> None:
    #     self.client.post("/cart", json={"product": 1, "quantity": 1})
    #     self.client.post("/checkout", json={"card": "test"})
