"""The event kernel: a sale in virtual time, compiled, deterministic for a seed."""
