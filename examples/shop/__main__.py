"""Start the shop with one command: ``python examples/shop --help``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # Python runs a folder's __main__.py outside its package; put the package within reach.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(importlib.import_module("shop.command").main())
