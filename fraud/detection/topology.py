"""The stages by name, and what each reads: what those need who follow the processes from outside."""

from schemas.kafka.topics import PAYMENTS, PAYMENTS_BY_PAYEE, RAW_TOPICS

NORMALISE = "normalise"
DETECT = "detect"
DETECT_INPUTS = (PAYMENTS, PAYMENTS_BY_PAYEE)
INPUTS = {NORMALISE: RAW_TOPICS, DETECT: DETECT_INPUTS}

HOT_CASES_EVERY_SECONDS = 1.0
"""How often the cases of hot windows are written: a case may be that much behind its payments."""
