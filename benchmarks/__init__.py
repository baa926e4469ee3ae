"""Measurements of what Underten costs: `make bench`."""
