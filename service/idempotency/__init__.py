"""Receipts of recent payments, by payment id: a payment sent again gets its first receipt."""
