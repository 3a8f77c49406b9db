"""``python -m tailwise``."""

from tailwise.cli.main import main

main()
