"""The report as one page that needs nothing but itself."""

from capplan.render.html.page import page

__all__ = ["page"]
