"""Payments that a rule adds up lie in one partition."""

from fraud.detection.partition_keys import group_key, payee_key, payor_key


def test_a_payees_key_is_the_same_whichever_way_its_bank_is_spelled() -> None:
    assert payee_key("First National", 7) == payee_key(" FIRST  NATIONAL", 7) == b"7/FIRST NATIONAL"
    assert payee_key("First National", 7) != payee_key("First National", 8)


def test_a_groups_key_is_its_payors_where_it_has_one_else_its_payees() -> None:
    payee = {"payee_bank": "First National", "payee_account_no": 7}
    assert group_key({**payee, "payor_account_no": 5}) == payor_key(5) == b"5"
    assert group_key(payee) == payee_key("FIRST NATIONAL", 7)
