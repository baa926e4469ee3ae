"""Recall, precision, delay and cases a day, counted by hand."""

import pytest

from fraud.evaluation.cases import Cases
from fraud.evaluation.score import PURCHASES, Evaluation, RuleScore, TypologyScore, evaluate
from fraud.evaluation.truth import LoadRun, TruePattern, Truth

RUN = "aaaaaaaa"
HOUR = 3_600_000


def ids(text: str) -> tuple[str, ...]:
    return tuple(f"{RUN}-{number}" for number in text.split())


def crime(typology: str, payments: str, completed_at: int | None = 1000) -> TruePattern:
    return TruePattern(typology, crime=True, payment_ids=ids(payments), completed_at=completed_at, payors=(7,), run=RUN)


def innocent(typology: str, payments: str) -> TruePattern:
    return TruePattern(typology, crime=False, payment_ids=ids(payments), completed_at=1000, run=RUN)


def truth(*patterns: TruePattern, payments: int = 1000) -> Truth:
    return Truth(patterns, (LoadRun(RUN, payments),))


def cases(*rows: tuple[str, str, int]) -> Cases:
    """A case each, of (rule, ids separated by blanks, time); each is about an account of its own."""
    queue = Cases()
    for number, (rule, payments, at_ms) in enumerate(rows):
        queue.add(str(number), rule, {"payor_account_no": number}, ids(payments), at_ms)
    return queue


def typology(evaluation: Evaluation, name: str) -> TypologyScore:
    [score] = [line for line in evaluation.typologies if line.typology == name]
    return score


def rule(evaluation: Evaluation, name: str) -> RuleScore:
    [score] = [line for line in evaluation.rules if line.rule == name]
    return score


def test_a_crime_is_found_by_a_case_that_holds_four_fifths_of_its_payments() -> None:
    evaluation = evaluate(truth(crime("split", "1 2 3 4 5")), cases(("big", "1 2 3 4 9", 900)))
    missed = evaluate(truth(crime("split", "1 2 3 4 5")), cases(("big", "1 2 3", 900), ("big", "3 4 5", 900)))
    assert (typology(evaluation, "split").recall.hits, typology(missed, "split").recall.hits) == (1, 0)
    assert [(one.typology, one.held) for one in missed.missed] == [("split", 0.6)]
    assert evaluation.missed == []


def test_cases_of_several_rules_find_a_crime_once_and_each_rule_is_named() -> None:
    evaluation = evaluate(
        truth(crime("split", "1 2"), crime("split", "3 4")),
        cases(("big", "1 2", 900), ("wide", "1 2", 900), ("big", "3 4", 900)),
    )
    assert evaluation.total.recall.hits == 2
    assert typology(evaluation, "split").found_by == {"big": 2, "wide": 1}
    assert (rule(evaluation, "big").found, rule(evaluation, "big").found_alone) == (2, 1)
    assert (rule(evaluation, "wide").found, rule(evaluation, "wide").found_alone) == (1, 0)


def test_a_case_is_true_if_at_least_half_of_its_payments_belong_to_crimes() -> None:
    evaluation = evaluate(
        truth(crime("split", "1 2"), crime("ring", "3"), innocent("payroll", "4 5 6")),
        cases(("big", "1 3 4 5", 900), ("big", "1 4 5", 900), ("big", "8 9", 900)),
    )
    assert (rule(evaluation, "big").precision.hits, rule(evaluation, "big").precision.total) == (1, 3)
    assert [(one.case_id, one.typology) for one in evaluation.false_cases] == [("1", "payroll"), ("2", PURCHASES)]
    assert typology(evaluation, "payroll").with_case == 1
    assert typology(evaluation, "payroll").recall.value is None


def test_a_crime_of_which_not_all_was_sent_is_neither_missed_nor_are_its_cases_false() -> None:
    evaluation = evaluate(truth(crime("split", "1 2", completed_at=None)), cases(("big", "1 2", 900)))
    assert evaluation.total.patterns == 0
    assert evaluation.missed == []
    assert rule(evaluation, "big").precision.value == 1.0


def test_a_crime_is_found_in_time_if_the_case_stood_there_within_an_hour() -> None:
    for at_ms, in_time in ((-5, 1), (1000 + HOUR, 1), (1001 + HOUR, 0)):
        evaluation = evaluate(truth(crime("split", "1 2")), cases(("big", "1 2", at_ms)))
        assert typology(evaluation, "split").in_time == in_time
        assert typology(evaluation, "split").p50_ms == at_ms - 1000


def test_the_delay_is_to_the_first_version_that_holds_enough_of_the_earliest_case() -> None:
    queue = Cases()
    group = {"payor_account_no": 1}
    queue.add("a", "big", group, ids("1 2 3"), 400)
    queue.add("a", "big", group, ids("1 2 3 4"), 1_200)
    queue.add("a", "big", group, ids("1 2 3 4 5"), 9_000)
    queue.add("b", "big", group, ids("1 2 3 4 5"), 5_000)
    assert typology(evaluate(truth(crime("split", "1 2 3 4 5")), queue), "split").p50_ms == 200


def test_a_payment_that_a_case_lists_twice_counts_once() -> None:
    evaluation = evaluate(truth(crime("split", "1 2 3")), cases(("big", "1 1 2", 900)))
    assert evaluation.total.recall.hits == 0
    assert evaluation.missed[0].held == pytest.approx(2 / 3)


def test_cases_a_day_are_those_of_a_bank_with_a_hundred_thousand_payments_a_day() -> None:
    queue = cases(("big", "1", 1), ("big", "2", 1), ("wide", "3", 1))
    queue.add("again", "big", {"payor_account_no": 1}, ids("2"), 1)
    evaluation = evaluate(truth(payments=50_000), queue)
    assert (evaluation.total.cases, evaluation.total.cases_a_day) == (4, 8.0)
    assert (evaluation.total.subjects, evaluation.total.subjects_a_day) == (3, 6.0)
    assert rule(evaluation, "big").cases_a_day == 6.0
    assert evaluate(Truth(), queue).total.cases_a_day is None


def test_a_payee_is_one_subject_for_all_rules_that_look_at_payees_and_a_payor_for_the_others() -> None:
    queue = Cases()
    payee = {"payee_bank": "A", "payee_account_no": 1}
    queue.add("1", "fan_in", payee, ids("1"), 1)
    queue.add("2", "fan_in_few", payee, ids("1"), 1)
    queue.add("3", "pair", {"payor_account_no": 1, **payee}, ids("1"), 1)
    queue.add("4", "fan_out", {"payor_account_no": 1}, ids("1"), 1)
    assert evaluate(truth(crime("split", "1")), queue).total.subjects == 2


def test_cases_of_other_payments_are_left_alone_unless_no_run_is_named() -> None:
    queue = cases(("big", "1", 900))
    queue.add("x", "big", {"payor_account_no": 99}, ["bbbbbbbb-1"], 900)
    assert evaluate(truth(crime("split", "1")), queue).total.cases == 1
    nameless = TruePattern("split", crime=True, payment_ids=ids("1"), completed_at=1)
    assert evaluate(Truth((nameless,)), queue).total.cases == 2
    assert evaluate(Truth(), queue).total.cases == 2


def test_where_nobody_knows_which_payments_are_crimes_no_case_is_called_true_or_false() -> None:
    for nothing in (Truth(), Truth((), (LoadRun("", 1000),))):
        evaluation = evaluate(nothing, cases(("big", "1", 1)))
        assert (evaluation.total.cases, evaluation.total.precision.value) == (1, None)
        assert (rule(evaluation, "big").precision.value, evaluation.false_cases) == (None, [])
    evaluation = evaluate(truth(), cases(("big", "1", 1)))
    assert (evaluation.total.precision.value, len(evaluation.false_cases)) == (0.0, 1), "a run that holds no crime"


def test_typologies_stand_in_order_crimes_first() -> None:
    evaluation = evaluate(truth(innocent("car", "1 2"), crime("split", "3 4"), crime("ring", "5 6")), cases())
    assert [(one.typology, one.crime) for one in evaluation.typologies] == [
        ("ring", True),
        ("split", True),
        ("car", False),
        (PURCHASES, False),
    ]
