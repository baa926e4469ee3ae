"""`fold_bank` is what ksqlDB's UCASE(TRIM(REGEXP_REPLACE(...))) makes of a name, whatever characters it has.

These three functions of ksqlDB are Java's `toUpperCase`, `trim` and `replaceAll`.
"""

import re

import jpype
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.bank_names import BLANKS, fold_bank
from tests.oracle.kafka_streams import start_java
from tests.oracle.test_against_kafka_streams import EXAMPLES

SURROGATES = range(0xD800, 0xE000)
AFTER_UNICODE_13 = (
    "\u019b\u0264\u1c8a\u2c5f\ua7c1\ua7cd\ua7d1\ua7d7\ua7d9\ua7db"
    + "".join(map(chr, range(0x10597, 0x105BD))).translate(dict.fromkeys((0x105A2, 0x105B2, 0x105BA)))
    + "".join(map(chr, range(0x10D70, 0x10D86)))
)


def java(name: str) -> str:
    start_java()
    text = jpype.JClass("java.lang.String")(name)
    return str(text.replaceAll(BLANKS, " ").trim().toUpperCase(jpype.java.util.Locale.ROOT))


def test_every_character_is_folded_as_java_folds_it_but_for_those_that_java_got_later() -> None:
    """The Java here is newer than ksqlDB's: it has capitals of Unicode 16."""
    characters = [chr(code) for code in range(0x110000) if code not in SURROGATES]
    differing = []
    for at in range(0, len(characters), 1024):
        chunk = characters[at : at + 1024]
        if java("x".join(chunk)) != fold_bank("x".join(chunk)):
            differing += [one for one in chunk if java(f"x{one}x") != fold_bank(f"x{one}x")]
    assert "".join(differing) == AFTER_UNICODE_13


pieces = st.sampled_from(
    ["ß", "\u0131", "İ", "i", "i\u0307", "\u00a0", "\x00", "\x1f", " ", "  ", "\t", "𐐨", "Σας", "ŉ", "ﬁ", "ΐ"]
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.one_of(pieces, st.characters(exclude_categories=["Cs"]))).map("".join))
def test_every_name_is_folded_as_java_folds_it(name: str) -> None:
    if not re.search(f"[{AFTER_UNICODE_13}]", name):
        assert fold_bank(name) == java(name)
