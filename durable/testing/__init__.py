"""Shipped to users: clocks, environments and suites to test workflows and stores with."""
