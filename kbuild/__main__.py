"""`python -m kbuild`: the command."""

import sys

from kbuild.cli import main

sys.exit(main())
