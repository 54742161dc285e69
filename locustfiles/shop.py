"""Customers of the example shop: plain Locust, ready to copy for your own shop.

    locust -f locustfiles/shop.py --headless -u 5 -r 5 -t 5s -H http://127.0.0.1:8899

What a customer can meet in a healthy shop is no failure here: a product that is sold out (409)
and a card that is declined (402) are answers. Anything else that is not 2xx or 3xx is a failure.

The weights follow public figures for web shops. A visit sees about five pages. One visit in
twelve puts something into a cart, seven carts in ten are left behind, and so 2.5 % of the visits
end in an order, in the middle of the 2 to 3 % that shops report.
"""

import random
import re

from locust import FastHttpUser, SequentialTaskSet, between, task

SOLD_OUT, DECLINED = 409, 402
CARTS_LEFT_BEHIND = 0.7
DEPARTMENTS = ["kitchen", "garden", "bedroom", "lighting", "outdoor", "office", "toys", "cycling"]
SEARCHES = ["oak", "copper kettle", "desk lamp", "wool", "tent", "felt", "chess", "gift", "rain"]


class Visitor(FastHttpUser):
    """What every visitor can do. What one has seen so far is kept on the visitor."""

    abstract = True
    wait_time = between(2, 10)  # reading a page takes seconds

    def on_start(self):
        """Enter by the front page, which sets the session cookie."""
        self.seen = []
        self.product = None
        self.look("/")

    def look(self, url, name=None):
        """Get a page and remember the products on it."""
        response = self.client.get(url, name=name)
        self.seen = re.findall(r'href="/product/(\d+)"', response.text or "") or self.seen

    def browse(self):
        """Look at a shelf, mostly at its first page: few people turn many."""
        page = 1 + min(int(random.expovariate(1)), 5)
        self.look(f"/products?department={random.choice(DEPARTMENTS)}&page={page}", "/products")

    def open_product(self):
        """Click on a product of the page last seen; having seen none, look at a shelf."""
        if self.seen:
            self.product = random.choice(self.seen)
            self.look(f"/product/{self.product}", "/product/[id]")
        else:
            self.browse()


class WindowShopper(Visitor):
    """Looks around and leaves; fifteen of them to one buyer.

    While a buyer does 5 tasks, fifteen window shoppers do 75, which are 15 visits. A buyer's trip
    has 3 tasks, or 5 when it ends at the till: 3.6 on average, so the buyer's 5 are 1.4 visits.
    1.4 of 16.4 visits fill a cart (8.5 %), and 30 % of these are paid for (2.5 %).
    """

    weight = 15

    @task(1)
    def front_page(self):
        self.look("/")

    @task(4)
    def shelf(self):
        self.browse()

    @task(6)
    def product_page(self):
        self.open_product()

    @task(3)
    def search(self):
        self.look(f"/search?q={random.choice(SEARCHES).replace(' ', '+')}", "/search")


class Buyer(Visitor):
    """Goes shopping with a purpose, trip after trip."""

    weight = 1

    @task
    class ShoppingTrip(SequentialTaskSet):
        """From the shelf to the till; every step asks for at least one page.

        A trip may end early. The next one is made by a new customer, so that carts do not pile up.
        """

        @task
        def shelf(self):
            self.user.browse()

        @task
        def product_page(self):
            self.user.open_product()

        @task
        def add_to_cart(self):
            form = {"product": self.user.product or 1, "quantity": 1}
            added = self.post("/cart", form)
            self.client.get("/cart")
            if not added or random.random() < CARTS_LEFT_BEHIND:
                self.leave()

        @task
        def checkout(self):
            self.client.get("/checkout")

        @task
        def pay(self):
            order = self.post("/checkout", {"card": "4242 4242 4242 4242"})
            if order:
                self.client.get(order, name="/order/[id]")
            self.leave()

        def post(self, url, form):
            """Send a form; return where the shop sends the customer next, or None if it refuses."""
            with self.client.post(
                url, data=form, allow_redirects=False, catch_response=True
            ) as answer:
                if answer.status_code == DECLINED or (
                    answer.status_code == SOLD_OUT and "Sold out" in answer.text
                ):
                    answer.success()
                return answer.headers.get("location") if answer.status_code == 303 else None

        def leave(self):
            """End the trip; without the cookie the shop will see somebody new."""
            self.client.cookiejar.clear()
            self.interrupt(reschedule=False)
