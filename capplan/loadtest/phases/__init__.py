"""Beyond the steady state: the opening of a sale, an overload with retries, a long soak.

``asked`` says which, ``opening``, ``overload``, ``soak`` and ``drift`` analyse recordings (pure),
``run`` holds the loads.
"""
