"""Cases as they come: the longest list of each, and when each was there."""

import pytest

from fraud.evaluation.cases import Cases, JudgedCase, all_cases, subject

PAYOR = {"payor_account_no": 7}


def only(cases: Cases) -> JudgedCase:
    [(_, case)] = cases
    return case


def grown() -> JudgedCase:
    cases = Cases()
    cases.add("a", "big", PAYOR, ["1", "2"], 100)
    cases.add("a", "big", PAYOR, ["1", "2", "3"], 200)
    cases.add("a", "big", PAYOR, ["1"], 300)
    return only(cases)


def test_a_case_has_its_longest_list_and_all_of_its_versions() -> None:
    assert grown().payment_ids == ("1", "2", "3")
    assert [tuple(version) for version in grown().versions] == [(2, 100), (3, 200), (1, 300)]


def test_a_payment_that_is_listed_twice_is_one() -> None:
    cases = Cases()
    cases.add("a", "big", PAYOR, ["1", "1", "2"], 100)
    assert only(cases).payment_ids == ("1", "2")
    assert only(cases).versions[0].payments == 2


@pytest.mark.parametrize(("ids", "least", "at_ms"), [("12", 2, 100), ("13", 2, 200), ("23", 1, 100), ("14", 2, None)])
def test_payments_are_held_from_the_first_version_with_enough_of_them(ids: str, least: int, at_ms: int | None) -> None:
    assert grown().held_at(frozenset(ids), least) == at_ms


def test_a_version_that_was_written_before_a_longer_one_is_not_later_than_it() -> None:
    cases = Cases()
    cases.add("a", "big", PAYOR, ["1", "2"], 500)
    cases.add("a", "big", PAYOR, ["1", "2", "3"], 400)
    assert only(cases).held_at(frozenset("12"), 2) == 400


def test_a_case_that_was_taken_away_is_none_also_where_it_never_was() -> None:
    cases = Cases()
    cases.add("a", "big", PAYOR, ["1"], 1)
    cases.discard("a")
    cases.discard("b")
    assert list(cases) == []


def test_cases_of_several_rules_come_together_by_their_ids() -> None:
    first, second = Cases(), Cases()
    first.add("a", "big", PAYOR, ["1"], 1)
    second.add("b", "wide", PAYOR, ["1"], 1)
    assert {case_id: case.rule for case_id, case in all_cases([first, second])} == {"a": "big", "b": "wide"}


@pytest.mark.parametrize(
    ("group", "account"),
    [
        ({"payee_bank": "B", "payee_account_no": 2, "payor_account_no": 7}, ("payor", 7)),
        ({"payee_bank": "B", "payee_account_no": 2}, ("payee", "B", 2)),
    ],
)
def test_a_case_is_about_its_payor_or_else_its_payee(group: dict[str, int | str], account: tuple[object, ...]) -> None:
    assert subject(group) == account
