"""The wait of `fraud compare`, and what it shows people."""

import pytest

from fraud.commands.compare import MAX_WAITS, Patience, show
from fraud.comparison.compare import KINDS


def test_without_a_wait_it_is_over_at_once() -> None:
    assert Patience(0, now=100.0).ends(5, now=100.1)


def test_it_is_counted_anew_while_there_is_less_left() -> None:
    patience = Patience(10, now=0.0)
    assert not patience.ends(100, now=1.0)
    assert not patience.ends(90, now=10.5)
    assert not patience.ends(90, now=20.0)
    assert patience.ends(90, now=20.6)


def test_it_has_an_end_whatever_happens() -> None:
    patience = Patience(10, now=0.0)
    times = [second for second in range(1000) if patience.ends(1000 - second, now=float(second))]
    assert times[0] == MAX_WAITS * 10 + 1


def test_more_to_read_is_no_progress() -> None:
    patience = Patience(10, now=0.0)
    assert not patience.ends(5, now=1.0)
    assert not patience.ends(50, now=9.0)
    assert patience.ends(40, now=11.1)


def test_a_bank_is_shown_by_its_name_and_a_rule_by_its_whole_name_however_narrow_the_screen_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    names = "structuring_rolling", "structuring_weeks"
    difference = {
        "kind": "different",
        "rule": names[0],
        "group": {"payee_bank": "[/red] :bank:"},
        "window_start": 0,
        "fields": {"payment_count": {"ksqldb": 1, "python": 2}},
    }
    show(
        {
            "engine": {"name": "ksqlDB", "version": "7.9.0"},
            "caught_up": True,
            "rules": {name: dict.fromkeys(KINDS, 1_000_000) for name in names},
            "settled": 1,
            "provisional": 0,
            "expired": 0,
            "not_understood": 0,
            "differences": [difference],
        }
    )
    shown = capsys.readouterr().out
    assert all(name in shown for name in names)
    assert "different: structuring_rolling {'payee_bank': '[/red] :bank:'} from 0" in shown
