"""Load testing and capacity planning before a flash sale."""

__version__ = "0.1.0"
