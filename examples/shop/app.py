"""The shop's pages: from a request to a query, from its answer to HTML.

What a customer can cause is an answer of its own: sold out or an empty cart is 409, a declined
card 402, an unknown product 404. Only a fault of the shop is a 5xx.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from . import shelves, till
from .catalogue import DEPARTMENTS
from .payment import PaymentProvider
from .store import Store

COOKIE = "session"
COOKIE_LIFE_S = 7 * 24 * 3600
LONGEST_FORM_BYTES = 4096
LAST_PAGE = 10_000
TITLES = {department.slug: department.title for department in DEPARTMENTS}


@dataclass(frozen=True)
class Settings:
    """What a worker process needs to know; small and picklable, because workers are spawned."""

    database: Path
    seed: int
    decline_rate: float


def build_app(settings: Settings) -> Starlette:
    """Wire the shop together: its store, its payment provider and its pages."""
    shop = Shop(Store(settings.database), PaymentProvider(settings.seed, settings.decline_rate))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        shop.store.close()

    return Starlette(
        routes=[
            Route("/", shop.front),
            Route("/products", shop.products),
            Route("/search", shop.search),
            Route("/product/{product:int}", shop.product),
            Route("/cart", shop.cart),
            Route("/cart", shop.add_to_cart, methods=["POST"]),
            Route("/cart/remove", shop.remove_from_cart, methods=["POST"]),
            Route("/checkout", shop.checkout),
            Route("/checkout", shop.pay, methods=["POST"]),
            Route("/order/{order:int}", shop.order),
            Route("/health", shop.health),
            Route("/stats", shop.stats),
        ],
        exception_handlers={
            HTTPException: shop.refuse,
            sqlite3.OperationalError: shop.unavailable,
        },
        lifespan=lifespan,
    )


class Shop:
    """The pages; each handler is one request."""

    def __init__(self, store: Store, provider: PaymentProvider) -> None:
        self.store = store
        self._provider = provider
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["money"] = lambda cents: f"€{cents // 100:,}.{cents % 100:02}"
        self._templates.globals["titles"] = TITLES

    async def front(self, request: Request) -> Response:
        """Show today's offers and the departments."""
        shelf = await self.store.read(shelves.browse, None, "offers", 1)
        return self._page(request, "front.html", shelf=shelf)

    async def products(self, request: Request) -> Response:
        """Show a page of the shelves, of one department or of all."""
        department = request.query_params.get("department") or None
        sort = request.query_params.get("sort", "popular")
        if sort not in shelves.SORTS or department not in {None, *TITLES}:
            raise HTTPException(404, "There is no such shelf.")
        shelf = await self.store.read(shelves.browse, department, sort, _page_number(request))
        return self._page(request, "products.html", shelf=shelf, department=department, sort=sort)

    async def search(self, request: Request) -> Response:
        """Show what matches the words that were typed in."""
        text = request.query_params.get("q", "")[:100]
        shelf = await self.store.read(shelves.search, text, _page_number(request))
        return self._page(request, "search.html", shelf=shelf, text=text)

    async def product(self, request: Request) -> Response:
        """Show one product."""
        found = await self.store.read(shelves.product_page, request.path_params["product"])
        if found is None:
            raise HTTPException(404, "There is no such product.")
        return self._page(request, "product.html", found=found)

    async def cart(self, request: Request) -> Response:
        """Show the cart."""
        return await self._cart_page(request, "cart.html")

    async def add_to_cart(self, request: Request) -> Response:
        """Put a product into the cart, then show it."""
        form = await _form(request)
        product, quantity = _whole(form, "product"), _whole(form, "quantity", 1)
        if not 1 <= quantity <= till.MOST_PER_LINE:
            raise HTTPException(400, f"The quantity is 1 to {till.MOST_PER_LINE}.")
        session = _session(request)
        try:
            known = await self.store.write(till.add_to_cart, session, product, quantity)
        except till.SoldOut as gone:
            raise HTTPException(409, f"Sold out: {gone.name}") from gone
        if not known:
            raise HTTPException(404, "There is no such product.")
        return _see(request, "/cart")

    async def remove_from_cart(self, request: Request) -> Response:
        """Take a product out of the cart, then show it."""
        product = _whole(await _form(request), "product")
        await self.store.write(till.remove_from_cart, _session(request), product)
        return _see(request, "/cart")

    async def checkout(self, request: Request) -> Response:
        """Show what is to be paid, and ask for a card."""
        return await self._cart_page(request, "checkout.html")

    async def pay(self, request: Request) -> Response:
        """Put the goods aside, charge the card, then sell them or give them back."""
        card = (await _form(request)).get("card", "")
        session = _session(request)
        try:
            order = await self.store.write(till.reserve, session)
        except till.CartIsEmpty as nothing:
            raise HTTPException(409, "Your cart is empty.") from nothing
        except till.SoldOut as gone:
            await self.store.write(till.remove_sold_out, session)
            raise HTTPException(409, f"Sold out, and taken from your cart: {gone.name}") from gone
        paid = await self._provider.charge(card, order.total_cents)
        await self.store.write(till.settle, session, order.id, paid)
        if not paid:
            raise HTTPException(402, "Your card was declined. Your cart is as it was.")
        return _see(request, f"/order/{order.id}")

    async def order(self, request: Request) -> Response:
        """Confirm an order to the customer who placed it."""
        order = await self.store.read(till.order, _session(request), request.path_params["order"])
        if order is None:
            raise HTTPException(404, "You have no such order.")
        return self._page(request, "order.html", order=order)

    async def health(self, _request: Request) -> Response:
        """Say that the shop and its database answer."""
        await self.store.read(lambda connection: connection.execute("SELECT 1").fetchone())
        return JSONResponse({"status": "ok"})

    async def stats(self, _request: Request) -> Response:
        """Show the books: whatever the load, ``balanced`` is true."""
        books = await self.store.read(till.books)
        return JSONResponse(asdict(books) | {"balanced": books.balanced})

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Say why a request was not granted."""
        assert isinstance(error, HTTPException)
        return self._page(request, "refused.html", error.status_code, reason=error.detail)

    async def unavailable(self, request: Request, error: Exception) -> Response:
        """Say that the database was busy for longer than its timeout."""
        if not (
            isinstance(error, sqlite3.OperationalError)
            and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        ):
            raise error
        return self._page(request, "refused.html", 503, reason="The shop is very busy.")

    async def _cart_page(self, request: Request, template: str) -> Response:
        lines = await self.store.read(till.cart, _session(request))
        return self._page(request, template, lines=lines, total_cents=till.total_cents(lines))

    def _page(
        self, request: Request, template: str, status: int = 200, /, **values: object
    ) -> Response:
        # Some tenths of a millisecond each: cheaper on the event loop than sent to a thread.
        html = self._templates.get_template(template).render(values)
        return _with_cookie(request, HTMLResponse(html, status))


def _page_number(request: Request) -> int:
    given = request.query_params.get("page", "1")
    return min(max(int(given), 1), LAST_PAGE) if re.fullmatch("[0-9]{1,9}", given) else 1


def _whole(form: dict[str, str], field: str, default: int | None = None) -> int:
    given = form.get(field, "" if default is None else str(default))
    if not re.fullmatch("[0-9]{1,9}", given):
        raise HTTPException(400, f"The {field} is not a whole number.")
    return int(given)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM_BYTES:
            raise HTTPException(413, "That form is too long.")
    return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20))


def _session(request: Request) -> str:
    """Return the customer's session, a new one for a new customer."""
    if not hasattr(request.state, "session"):
        given = request.cookies.get(COOKIE, "")
        known = re.fullmatch(r"[A-Za-z0-9_-]{22}", given) is not None
        request.state.session = given if known else secrets.token_urlsafe(16)
        request.state.is_new = not known
    session: str = request.state.session
    return session


def _with_cookie(request: Request, response: Response) -> Response:
    session = _session(request)
    if request.state.is_new:
        # Lax keeps other sites from posting to the cart and the till in the customer's name.
        response.set_cookie(COOKIE, session, max_age=COOKIE_LIFE_S, httponly=True, samesite="lax")
    return response


def _see(request: Request, path: str) -> Response:
    """Send the browser on with GET, so that a reload does not post again."""
    return _with_cookie(request, RedirectResponse(path, 303))
