"""Tables of the review queue's SQLite file. Any change of them is a new LAYOUT: files of another one are made anew."""

LAYOUT = "11"

CASE_SORTS = {
    "total": "total_cents",
    "window_start": "window_start",
    "last_payment_at": "last_payment_at",
    "payment_count": "payment_count",
    "fired_at": "fired_at",
    "due_at": "fired_at",
}
"""Orders in which cases can be read, and the column of each."""

SUBJECT_SORTS = {
    "total": "total_cents",
    "last_payment_at": "last_payment_at",
    "payment_count": "payment_count",
    "fired_at": "fired_at",
    "due_at": "fired_at",
}
"""Orders in which subjects can be read, and the column of each."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The topics that the file was made from, by name, and the cluster: their ids.
CREATE TABLE source (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
-- Payments that came too late for the window of a case, which may come to fire later, or never.
CREATE TABLE late (case_id TEXT PRIMARY KEY, payments INTEGER NOT NULL) WITHOUT ROWID;
-- Payments that came again, and that the window of a case did not count again.
CREATE TABLE repeated (case_id TEXT PRIMARY KEY, payments INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    subject_id TEXT NOT NULL UNIQUE,
    payor INTEGER, payee INTEGER, payee_bank TEXT,
    payment_count INTEGER NOT NULL DEFAULT 0, -- distinct payments, and their sum
    total_cents INTEGER NOT NULL DEFAULT 0,
    -- What its cases come to: service/queue/subjects.py.
    status TEXT NOT NULL DEFAULT 'open', reviewer TEXT, decided_at INTEGER, snoozed_until INTEGER, growth TEXT,
    rules TEXT NOT NULL DEFAULT ',,', cases INTEGER NOT NULL DEFAULT 0, open_cases INTEGER NOT NULL DEFAULT 0,
    first_payment_at INTEGER, last_payment_at INTEGER NOT NULL DEFAULT 0, fired_at INTEGER NOT NULL DEFAULT 0,
    exact INTEGER NOT NULL DEFAULT 1, version INTEGER NOT NULL DEFAULT 0,
    agreement TEXT NOT NULL DEFAULT 'only_python', changed_at INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL DEFAULT 0,
    change INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL UNIQUE,
    subject INTEGER NOT NULL, -- subjects.id
    rule TEXT NOT NULL,
    payor INTEGER, payee INTEGER, payee_bank TEXT,
    total_cents INTEGER NOT NULL,
    payment_count INTEGER NOT NULL,
    listed INTEGER NOT NULL, -- how many of its payments it lists
    max_amount REAL NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    first_payment_at INTEGER,
    last_payment_at INTEGER NOT NULL,
    fired_at INTEGER NOT NULL, -- where the record has none, the first time that it has
    fired_known INTEGER NOT NULL, -- whether the record has one
    record INTEGER NOT NULL, -- offset + 1 of its record on the topic; 0: Python has no such case
    fingerprint INTEGER, -- of Python's row; see service/queue/agreement.py, as for the next one
    agreement TEXT NOT NULL DEFAULT 'only_python',
    changed_at INTEGER NOT NULL, -- when an engine's row changed, by this machine's clock
    -- Where the review stands, see service/queue/decisions.py.
    status TEXT NOT NULL DEFAULT 'open',
    reviewer TEXT,
    outcome TEXT,
    decided_at INTEGER,
    decisions INTEGER NOT NULL DEFAULT 0,
    reopened TEXT,
    growth TEXT,
    proposal TEXT,
    snoozed_until INTEGER,
    updated_at INTEGER NOT NULL, -- when anything of it changed, by this machine's clock
    change INTEGER NOT NULL -- counts the changes of the whole view; this case's last one
);
-- The payments of a case as JSON, apart from the columns that are searched: those stay small and in memory.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, payments BLOB NOT NULL);
-- Each payment of a subject once, whichever of its cases list it.
CREATE TABLE listed (
    subject INTEGER, payment_id TEXT COLLATE NOCASE, cents INTEGER, PRIMARY KEY (subject, payment_id)
) WITHOUT ROWID;
CREATE TABLE ksqldb (case_id TEXT PRIMARY KEY, fingerprint INTEGER, body BLOB NOT NULL) WITHOUT ROWID;
-- Cases and subjects that are gone, for readers who still show them.
CREATE TABLE gone (id TEXT PRIMARY KEY, is_subject INTEGER NOT NULL, change INTEGER NOT NULL) WITHOUT ROWID;
-- Every decision, also one that took no effect because another one with its number came first.
CREATE TABLE decisions (
    case_id TEXT, number INTEGER, decision_id TEXT, took_effect INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (case_id, number, decision_id)
) WITHOUT ROWID;
-- The last word on each rule and group: from `since` on it is silent until `until`, below its ceiling.
CREATE TABLE snoozes (
    silence TEXT PRIMARY KEY, since INTEGER NOT NULL, decision_id TEXT NOT NULL,
    until INTEGER NOT NULL, max_cents INTEGER NOT NULL, max_payments INTEGER NOT NULL, body BLOB
) WITHOUT ROWID;
-- Exemptions, each by its last record; `live` until somebody ends it.
CREATE TABLE exemptions (
    exemption_id TEXT PRIMARY KEY, time INTEGER NOT NULL, until INTEGER NOT NULL, live INTEGER NOT NULL, body BLOB
) WITHOUT ROWID;
CREATE INDEX listed_by_payment ON listed (payment_id);
CREATE INDEX cases_by_subject ON cases (subject);
CREATE INDEX cases_by_payor ON cases (payor);
CREATE INDEX cases_by_payee ON cases (payee);
CREATE INDEX cases_by_bank ON cases (payee_bank) WHERE payee_bank IS NOT NULL;
CREATE INDEX cases_by_change ON cases (change);
CREATE INDEX cases_by_status ON cases (status, rule);
CREATE INDEX cases_by_growth ON cases (growth) WHERE growth IS NOT NULL;
CREATE INDEX subjects_by_growth ON subjects (growth) WHERE growth IS NOT NULL;
CREATE INDEX cases_by_outcome ON cases (rule, outcome) WHERE outcome IS NOT NULL;
CREATE INDEX cases_by_snooze ON cases (snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX subjects_by_change ON subjects (change);
"""

# One index each, in the order that lines come in, and in it every column that is searched or sorted by, but for the
# accounts, which have indexes of their own: where no line or few match, or another order is asked for, the whole of it
# is read, and that is quick only as long as no row has to be looked up. It is rewritten with every payment: hence one.
_SEARCH = {
    "cases": (
        "case_id, status, agreement, changed_at, rule, total_cents, window_start, payment_count, fired_at, reviewer"
    ),
    "subjects": (
        "subject_id, status, agreement, changed_at, rules, total_cents, payment_count, first_payment_at, fired_at, "
        "reviewer, growth IS NOT NULL"
    ),
}
_INDEXES = "\n".join(
    f"CREATE INDEX {table}_by_last_payment_at ON {table} (last_payment_at, {columns});"
    for table, columns in _SEARCH.items()
)

# The values by which cases and subjects could be sorted before a change moved them: whoever is in the midst of reading
# pages meets each where it stood when the reading began. Kept for the last changes only.
_PAST = "\n".join(
    f"""
    CREATE TABLE past_{table} (
        id INTEGER, change INTEGER, at INTEGER NOT NULL, {" INTEGER, ".join(sorts)} INTEGER, PRIMARY KEY (id, change)
    ) WITHOUT ROWID;
    CREATE TRIGGER {table}_move AFTER UPDATE OF {", ".join(sorts)} ON {table}
    WHEN old.change AND ({" OR ".join(f"old.{column} <> new.{column}" for column in sorts)}) BEGIN
        INSERT INTO past_{table} VALUES (old.id, new.change, new.updated_at, {", ".join(f"old.{c}" for c in sorts)});
    END;
    """
    for table, sorts in (
        ("cases", tuple(dict.fromkeys(CASE_SORTS.values()))),
        ("subjects", tuple(dict.fromkeys(SUBJECT_SORTS.values()))),
    )
)

MAX_PAST = 200_000
"""Changes whose past is kept."""

STATEMENTS = f"{_TABLES} {_INDEXES} {_PAST}"
