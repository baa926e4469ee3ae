"""Errors: one tree, each with a text for a person."""

import pytest

from schemas import errors
from schemas.errors import MAX_REASON, PaymentError, UndecodableError, UndertenError, reason_of


@pytest.mark.parametrize(
    ("error", "reason"), [(OSError("the disk is full"), "the disk is full"), (TimeoutError(), "TimeoutError")]
)
def test_an_error_without_a_text_has_the_name_of_its_kind(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_payments_fault_names_its_field() -> None:
    assert str(PaymentError("must be a UUID", "id")) == "id: must be a UUID"
    assert str(PaymentError("cut short")) == "cut short"


def test_a_payments_fault_is_no_longer_than_a_header_may_be() -> None:
    assert PaymentError("x" * MAX_REASON).reason == "x" * MAX_REASON
    cut = PaymentError("x" * (MAX_REASON + 1)).reason
    assert (len(cut), cut[-1]) == (MAX_REASON, "…")


def test_every_error_is_in_the_tree_that_the_module_draws() -> None:
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert all(issubclass(kind, UndertenError) for kind in kinds.values())
    assert [name for name in kinds if name not in (errors.__doc__ or "")] == []
    assert issubclass(UndecodableError, PaymentError)
