"""The smallest user script: everyone asks for one page.

locust -f locustfiles/single.py --headless -u 5 -r 5 -t 5s -H http://127.0.0.1:8000
"""

from locust import HttpUser, constant, task


class Visitor(HttpUser):
    """Asks for the front page, once a second."""

    wait_time = constant(1)

    @task
    def front_page(self):
        self.client.get("/")
