"""Find the sustained rate of a target by real load.

``search`` decides the next trial from the trials so far and does no I/O. ``engine`` runs a trial in
a child process. ``worker`` is that child, the only place that imports Locust. ``evaluate`` turns a
recording into a judged trial. ``measure`` joins them.
"""
