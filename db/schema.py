# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Tables and triggers of a store.

Amounts are minor units, instants µs since the epoch (UTC), probabilities and margins millionths. Columns
named after a vocabulary kind hold vocabulary numbers.
"""

from __future__ import annotations

APPLICATION_ID = 0x73677475

BEHAVIOUR_INTEGERS = (
    "seq",
    "user",
    "occurred_at",
    "kind",
    "order",
    "item",
    "category",
    "platform",
    "device",
    "region",
    "currency",
    "session",
    "amount",
    "quantity",
    "rating",
    "duration",
    "late",
)
CHANGE_INTEGERS = (
    "seq",
    "segmentation",
    "user",
    "from_label",
    "to_label",
    "probability",
    "as_of",
    "pass",
    "cause_seq",
    "reason",
    "model",
    "backfilled",
    "hindsight",
)
STREAMS = ("behaviour", "decisions", "changes")
CHAINED = ("behaviour", "attributes", "decisions", "membership_changes", "commits", "vocabulary")

TABLES = """
CREATE TABLE behaviour (
    seq INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    "order" INTEGER, item INTEGER, category INTEGER, platform INTEGER, device INTEGER, region INTEGER,
    currency INTEGER,
    source_id BLOB CHECK (length(source_id) = 16),
    session INTEGER, amount INTEGER, quantity INTEGER, rating INTEGER, duration INTEGER,
    late INTEGER NOT NULL
) STRICT;
CREATE TABLE attributes (
    seq INTEGER NOT NULL,
    name INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (seq, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE decisions (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX decisions_by_kind ON decisions (kind);
CREATE TABLE membership_changes (
    seq INTEGER PRIMARY KEY,
    segmentation INTEGER NOT NULL,
    user INTEGER NOT NULL,
    from_label INTEGER, to_label INTEGER, probability INTEGER,
    as_of INTEGER NOT NULL,
    pass INTEGER NOT NULL,
    cause TEXT NOT NULL CHECK (length(cause) BETWEEN 1 AND 16),
    cause_seq INTEGER,
    reason INTEGER NOT NULL,
    model INTEGER,
    backfilled INTEGER NOT NULL,
    hindsight INTEGER NOT NULL
) STRICT;
CREATE TABLE commits (
    id INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT,
    behaviour_first INTEGER, behaviour_last INTEGER,
    decisions_first INTEGER, decisions_last INTEGER,
    changes_first INTEGER, changes_last INTEGER,
    vocabulary_first INTEGER, vocabulary_last INTEGER,
    encoding INTEGER NOT NULL,
    behaviour_digest BLOB, decisions_digest BLOB, changes_digest BLOB, vocabulary_digest BLOB,
    digest BLOB NOT NULL
) STRICT;
CREATE INDEX commits_by_behaviour ON commits (behaviour_last);
CREATE INDEX commits_by_decisions ON commits (decisions_last);
CREATE TABLE leaves (
    "commit" INTEGER NOT NULL,
    stream TEXT NOT NULL,
    user INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY ("commit", stream, user)
) STRICT, WITHOUT ROWID;
CREATE TABLE redactions (seq INTEGER PRIMARY KEY) STRICT;
CREATE TABLE vocabulary (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (kind, text)
) STRICT;
CREATE TABLE vault (
    lookup BLOB PRIMARY KEY,
    user INTEGER NOT NULL,
    name TEXT NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE models (digest TEXT PRIMARY KEY, spec TEXT NOT NULL, parameters BLOB NOT NULL) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
CREATE TABLE rescores (
    seq INTEGER PRIMARY KEY,
    segmentation INTEGER NOT NULL,
    pass INTEGER NOT NULL,
    from_as_of INTEGER,
    as_of INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT;
CREATE INDEX rescores_by_pass ON rescores (segmentation, pass, seq, from_as_of);
CREATE TABLE members (
    segmentation INTEGER NOT NULL,
    user INTEGER NOT NULL,
    label INTEGER NOT NULL,
    probability INTEGER,
    margin INTEGER,
    scores BLOB,
    since INTEGER NOT NULL,
    change_seq INTEGER NOT NULL,
    PRIMARY KEY (segmentation, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_label ON members (segmentation, label, user);
CREATE TABLE member_counts (
    segmentation INTEGER NOT NULL,
    label INTEGER NOT NULL,
    users INTEGER NOT NULL,
    PRIMARY KEY (segmentation, label)
) STRICT, WITHOUT ROWID;
CREATE TABLE sizes (
    segmentation INTEGER NOT NULL,
    pass INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    label INTEGER NOT NULL,
    users INTEGER NOT NULL,
    expected REAL,
    PRIMARY KEY (segmentation, as_of, pass, label)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (name TEXT PRIMARY KEY, position INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE VIEW log AS
    SELECT seq, 'behaviour' AS stream, user, occurred_at AS at FROM behaviour
    UNION ALL SELECT seq, 'decisions', NULL, NULL FROM decisions
    UNION ALL SELECT seq, 'changes', user, as_of FROM membership_changes
    ORDER BY seq;
"""

BEHAVIOUR_INDEX = "CREATE INDEX behaviour_by_user ON behaviour (user, occurred_at)"
VAULT_INDEX = "CREATE INDEX vault_by_user ON vault (user)"
CHANGES_INDEXES = (
    "CREATE INDEX changes_by_as_of ON membership_changes (segmentation, as_of)",
    "CREATE INDEX changes_by_user ON membership_changes (user)",
)

_KEYS = {
    "behaviour": "seq = NEW.seq",
    "attributes": "seq = NEW.seq AND name = NEW.name",
    "decisions": "seq = NEW.seq",
    "membership_changes": "seq = NEW.seq",
    "commits": "id = NEW.id",
    "vocabulary": "id = NEW.id OR (kind = NEW.kind AND text = NEW.text)",
    "models": "digest = NEW.digest",
}


def insert_trigger(table: str) -> str:
    """The trigger that refuses to insert over an existing key (INSERT OR REPLACE)."""
    return (
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {_KEYS[table]}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def triggers() -> dict[str, str]:
    """All triggers by name: SQL that makes the log, the vocabulary and the models append-only."""
    sql = {}
    for table in _KEYS:
        sql[f"{table}_no_replace"] = insert_trigger(table)
        for verb in ("update", "delete"):
            sql[f"{table}_no_{verb}"] = (
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    return sql
