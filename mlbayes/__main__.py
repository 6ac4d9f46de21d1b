"""`python -m mlbayes` does what `mlbayes` does."""

import sys

from mlbayes.cli import main

sys.exit(main())
