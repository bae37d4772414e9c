"""``python -m variate``."""

from variate.cli.main import main

main()
