"""Probes of the target's side: its processes, and what Prometheus knows of it."""
