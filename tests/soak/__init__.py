"""A soak: payments for minutes while one thing after another breaks, and at the end a count of what went wrong."""
