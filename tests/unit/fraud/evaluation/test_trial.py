"""Beside the shipped rules it shows, both ways, what other rules win and lose."""

from fraud.evaluation.cases import Cases
from fraud.evaluation.trial import compare
from fraud.evaluation.truth import LoadRun, TruePattern, Truth

TRUTH = Truth(
    tuple(
        TruePattern("split", crime=True, payment_ids=(f"aa-{at}",), completed_at=1, payors=(at,), run="aa")
        for at in range(3)
    ),
    (LoadRun("aa", 10),),
)


def cases(*numbers: int) -> Cases:
    queue = Cases()
    for number in numbers:
        queue.add(str(number), "big", {"payor_account_no": number}, [f"aa-{number}"], 1)
    return queue


def test_crimes_that_one_side_alone_finds_are_won_or_lost() -> None:
    trial = compare(TRUTH, cases(0, 1), cases(1, 2))
    assert [one.payors for one in trial.won] == [(0,)]
    assert [one.payment_ids for one in trial.lost] == [("aa-2",)]
    assert (trial.trial.total.recall.hits, trial.shipped.total.recall.hits) == (2, 2)


def test_accounts_that_one_side_alone_makes_cases_of_are_named_with_their_rules() -> None:
    trial = compare(TRUTH, cases(0, 1, 8), cases(1, 9))
    assert [(one.subject, one.rules) for one in trial.subjects_more] == [
        (("payor", 0), ("big",)),
        (("payor", 8), ("big",)),
    ]
    assert [one.subject for one in trial.subjects_fewer] == [("payor", 9)]


def test_the_same_rules_win_and_lose_nothing() -> None:
    trial = compare(TRUTH, cases(0, 1), cases(0, 1))
    assert (trial.won, trial.lost, trial.subjects_more, trial.subjects_fewer) == ([], [], [], [])
