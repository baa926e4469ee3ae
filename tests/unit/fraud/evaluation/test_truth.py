"""The truth is read line by line, and a line that is none is named."""

import pytest

from fraud.evaluation.truth import PayeeAccount, decode_truth
from schemas.errors import SettingsError

PATTERN = (
    b'{"kind":"pattern","typology":"ring","crime":true,"payors":[1,2],"payees":[{"bank":"A","account_no":3}],'
    b'"payment_ids":["aa-1","aa-2"],"completed_at":5,"run":"aa"}\n'
)


def test_patterns_and_runs_stand_in_one_file() -> None:
    truth = decode_truth([b'{"kind":"run","run":"aa","payments":70}\n', b"\n", PATTERN], "truth")
    assert (truth.payments, truth.heads) == (70, ("aa",))
    [pattern] = truth.patterns
    assert (pattern.typology, pattern.crime, pattern.payors, pattern.completed_at) == ("ring", True, (1, 2), 5)
    assert pattern.payees == (PayeeAccount("A", 3),)


def test_processes_of_one_load_have_a_run_each() -> None:
    truth = decode_truth([b'{"kind":"run","run":"%s","payments":10}' % run for run in (b"aa", b"bb")], "truth")
    assert (truth.payments, sorted(truth.heads)) == (20, ["aa", "bb"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"kind":"pattern","typology":"a","crime":true}', "payment_ids"),
        (b'{"kind":"pattern","typology":"a","crime":true,"payment_ids":[]}', "payment_ids"),
        (b'{"typology":"a","payment_ids":["1"]}', "kind"),
        (b'{"kind":"window"}', "window"),
        (b"\xff", "JSON|utf-8"),
    ],
)
def test_a_bad_line_is_named(line: bytes, reason: str) -> None:
    with pytest.raises(SettingsError, match=rf"truth: line 2: .*({reason})"):
        decode_truth([PATTERN, line], "truth")
