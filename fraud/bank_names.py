"""The same bank under one name, however payments spell it: for rules with `fold_banks`."""

import re
from functools import lru_cache

BLANKS = r"[\x00-\x20\x7F-\xA0\u1680\u2000-\u200F\u2028\u2029\u202F\u205F\u2060\u3000\uFEFF]+"
"""A regular expression that Python and Java read alike: control characters, Unicode's White_Space, and what has no
width. `ksql/01_payments.sql` has the same: Java's `\\s` alone knows six characters."""

_YOUNGER = "\u019b\u0264\u1c8a\u2c5f\ua7c1\ua7cd\ua7d1\ua7d7\ua7d9\ua7db"
_YOUNGER += "\U00010597-\U000105a1\U000105a3-\U000105b1\U000105b3-\U000105b9\U000105bb\U000105bc\U00010d70-\U00010d85"
"""Letters that got their capitals after Unicode 13, in which no bank is known to write its name."""

_blanks = re.compile(BLANKS)
_with_capitals = re.compile(f"[^{_YOUNGER}]+")


@lru_cache(maxsize=16_384)
def fold_bank(name: str) -> str:
    """A bank's name with single blanks, none at either end, in upper case. Folding twice changes nothing more.

    The same as ksqlDB's `UCASE(TRIM(REGEXP_REPLACE(name, BLANKS, ' ')))`, which is Java's. Capitals are those of
    Unicode 13, as Java 17 has them: letters that got one later stay as they are, since engines differ on them.
    """
    spaced = _blanks.sub(" ", name).strip(" ")
    return _with_capitals.sub(lambda run: run[0].upper(), spaced)
