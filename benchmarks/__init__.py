"""What Underten costs, measured: `make bench`."""
