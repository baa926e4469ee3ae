"""The HTTP service: payments in, receipts out, and the queue of cases that a reviewer works through."""
