"""The processes that make load, here and on other machines, and what is said to them."""
