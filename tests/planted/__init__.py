"""Bugs, planted one at a time in a copy of the package, that the test kit must find."""
