"""``python -m harvester``: the same as the command ``harvester``."""

from __future__ import annotations

from harvester.cli.main import main

if __name__ == "__main__":
    main()
