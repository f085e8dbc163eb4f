"""`python -m darkpose`."""

from darkpose.cli import main

main()
