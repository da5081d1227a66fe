"""python -m genlab."""

import sys

from genlab.cli.entry import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
