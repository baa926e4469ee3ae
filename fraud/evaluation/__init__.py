"""Cases against the truth: what rules find, what they miss, and how much else a reviewer gets to see. Pure: no I/O."""
