"""`python -m interplay.cli` is `interplay`."""

from interplay.cli import main

main()
