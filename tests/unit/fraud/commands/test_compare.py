"""The wait of `fraud compare`."""

from fraud.commands.compare import MAX_WAITS, Patience


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
