"""Outcomes of payments: each has a word of its own, and says whether the payment may be sent again."""

from service.metrics import PROBLEMS
from service.producer import outcomes
from service.producer.outcomes import NotAccepted, NotDelivered, OutcomeUnknown, Receipt


def kinds() -> list[type[NotDelivered]]:
    return [kind for kind in vars(outcomes).values() if isinstance(kind, type) and issubclass(kind, NotDelivered)]


def test_every_outcome_is_in_the_tree_that_the_module_draws() -> None:
    assert [kind.__name__ for kind in kinds() if kind.__name__ not in (outcomes.__doc__ or "")] == []


def test_each_word_is_one_by_which_payments_are_counted() -> None:
    assert {kind.kind for kind in kinds()} == set(PROBLEMS)


def test_words_are_told_apart_but_where_one_outcome_is_a_case_of_another() -> None:
    words: dict[str, type[NotDelivered]] = {}
    for kind in kinds():
        other = words.setdefault(kind.kind, kind)
        assert issubclass(kind, other), kind


def test_what_is_unknown_was_not_refused() -> None:
    assert not any(issubclass(kind, NotAccepted) and issubclass(kind, OutcomeUnknown) for kind in kinds())


def test_a_receipt_that_is_given_out_again_says_so_and_is_the_same() -> None:
    receipt = Receipt(3, 17, 1_795_492_000_000)
    replay = receipt.replay()
    assert (receipt.kind, replay.kind) == ("acknowledged", "replayed")
    assert (replay.partition, replay.offset, replay.timestamp) == (3, 17, 1_795_492_000_000)
    assert not receipt.replayed
