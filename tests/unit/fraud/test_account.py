"""Records are an account's whichever way its bank is spelled."""

from fraud.account import Account


def test_a_payee_is_named_by_payments_and_groups_with_any_spelling_of_its_bank() -> None:
    account = Account.of_payee("First National", 7)
    assert account.key == Account.of_payee(" FIRST  national", 7).key
    for bank in ("First National", "FIRST NATIONAL", "first  national "):
        assert account.names({"payee_bank": bank, "payee_account_no": 7, "payor_account_no": 1})
    assert not account.names({"payee_bank": "First National", "payee_account_no": 8})
    assert not account.names({"payee_bank": "Second", "payee_account_no": 7})
    assert not account.names({"payor_account_no": 7})
