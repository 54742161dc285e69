"""``python -m capplan`` is the same program as ``capplan``."""

from capplan.cli.main import run

if __name__ == "__main__":
    run()
