"""`python -m modelcollapse` is the command `modelcollapse`."""

import sys

from modelcollapse.cli import main

sys.exit(main())
