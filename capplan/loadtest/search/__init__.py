"""Which load comes next, and what the trials so far say of the sustained rate; pure."""
