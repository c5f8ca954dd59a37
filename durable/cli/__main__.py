"""`python -m durable.cli` is the same as `durable`."""

import sys

from . import main

sys.exit(main())
