"""From payments to cases: records read, windows kept, cases written."""
