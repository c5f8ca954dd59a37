"""Runs workflow code deterministically: the event loop, the guards and entropy. Pure: no I/O, no clock."""
