"""`python -m darkpose`."""

from darkpose.cli.app import main

main()
