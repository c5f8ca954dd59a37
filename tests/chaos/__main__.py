"""`python -m tests.chaos`."""

from tests.chaos.soak import main

main()
