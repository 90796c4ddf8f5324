"""`python -m streamfold` is `streamfold`."""

import sys

from streamfold.cli import main

sys.exit(main())
