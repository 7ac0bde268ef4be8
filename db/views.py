# ruff: noqa: S608  (the names put into SQL are this package's own; values are always bound)
"""Views for people who ask in SQL: words for numbers, ISO 8601 times (UTC), surrogates and never ids.

Documented in docs/sql.md. They hold in any SQLite from 3.38 on, without this program's functions. A view that
changes needs a migration, for each store keeps the views of its version.
"""

from __future__ import annotations

NO_LIMIT = 2**63 - 1
NO_START = -(2**63)


def _moment(column: str) -> str:
    """An instant in µs as ISO 8601 with microseconds, so that texts sort as times do."""
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000000, 'unixepoch')"
    return f"{seconds} || printf('.%06dZ', {column} % 1000000)"


def _tick(column: str) -> str:
    """A tick's end as ISO 8601: it falls on a whole second."""
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {column} / 1000000, 'unixepoch')"


def _word(column: str) -> str:
    """The text of a vocabulary number."""
    return f"(SELECT text FROM vocabulary WHERE id = {column})"


def _commit(column: str, stream: str, seq: str) -> str:
    """What the commit that holds a row of a stream says."""
    return f"(SELECT {column} FROM commits WHERE {stream}_last >= {seq} ORDER BY {stream}_last LIMIT 1)"


def _somebody(column: str) -> str:
    """A surrogate, null once the person was erased."""
    return f"CASE WHEN EXISTS (SELECT 1 FROM erased WHERE erased.user = {column}) THEN NULL ELSE {column} END"


def _limits() -> str:
    """Table expression: up to which as-of each pass is read, newer passes governing what comes after."""
    return f"""openings AS (
    SELECT segmentation, "pass", coalesce(from_as_of, {NO_START}) AS start, min(seq)
    FROM rescores GROUP BY segmentation, "pass"
), limits AS (
    SELECT o.segmentation, o."pass", coalesce((
        SELECT min(later.start) FROM openings later
        WHERE later.segmentation = o.segmentation AND later."pass" > o."pass"
    ), {NO_LIMIT}) AS until FROM openings o
)"""


_NAMED = ("order", "item", "category", "platform", "device", "region", "currency")
_PLAIN = ("session", "amount", "quantity", "rating", "duration", "late")
_ATTRIBUTES = f"""(
        SELECT json_group_object(n.text, CASE n.kind WHEN 'attribute:number' THEN a.value / 1e6
            ELSE {_word("a.value")} END)
        FROM attributes a JOIN vocabulary n ON n.id = a.name
        WHERE a.seq = t.seq AND n.kind IN ('attribute:number', 'attribute:text') HAVING count(*) > 0
    )"""
_EVENT = ", ".join(
    [f"""'{name}', {_word(f't."{name}"')}""" for name in _NAMED]
    + [f"'{name}', t.{name}" for name in _PLAIN]
    + [f"'attributes', json({_ATTRIBUTES})"]
)


def _row(stream: str, expression: str) -> str:
    """An expression over the row `t` that stands in the table of a stream."""
    return f"(SELECT {expression} FROM {_TABLES[stream]} t WHERE t.seq = r.seq)"


def _by_stream(**expressions: str) -> str:
    """What a column of `log` says, stream by stream."""
    cases = (f"WHEN '{stream}' THEN {sql}" for stream, sql in expressions.items())
    return f"CASE r.stream {' '.join(cases)} END"


def _committed(column: str) -> str:
    """What the commit of a row of `log` says."""
    return _by_stream(**{stream: _commit(column, stream, "r.seq") for stream in _TABLES})


_TABLES = {"behaviour": "behaviour", "decisions": "decisions", "changes": "membership_changes"}
_AT = _by_stream(
    behaviour=_row("behaviour", "t.occurred_at"),
    decisions=_commit("recorded_at", "decisions", "r.seq"),
    changes=_row("changes", "t.as_of"),
)
_WHAT = _by_stream(
    behaviour=_word(_row("behaviour", "t.kind")),
    decisions=_row("decisions", "t.kind"),
    changes=_word(_row("changes", "t.segmentation")),
)
_MOVE = (
    f"""json_object('from', {_word("t.from_label")}, 'to', {_word("t.to_label")}, 'cause', t.cause, """
    f"""'reason', {_word("t.reason")}, 'pass', t."pass")"""
)
_DETAIL = _by_stream(
    behaviour=_row("behaviour", f"json_patch('{{}}', json_object({_EVENT}))"),
    decisions=_row("decisions", "t.body"),
    changes=_row("changes", _MOVE),
)

LOG = f"""CREATE VIEW log AS
SELECT r.seq AS seq, r.stream AS stream, {_moment(f"({_AT})")} AS at,
    {_moment(f"({_committed('recorded_at')})")} AS recorded_at, {_committed("actor")} AS actor,
    {_committed("source")} AS source, {_somebody("r.user")} AS user, {_WHAT} AS what, {_DETAIL} AS detail
FROM (
    SELECT seq, 'behaviour' AS stream, user FROM behaviour
    UNION ALL SELECT seq, 'decisions', CAST(NULL AS INTEGER) FROM decisions
    UNION ALL SELECT seq, 'changes', user FROM membership_changes
) r"""
"""The streams are put together first, in columns of one type, and told in words after: so SQLite makes only
the rows and columns that are asked for. Without an order of its own, which would sort all of it each time."""

MEMBERS = f"""CREATE VIEW v_members AS
SELECT s.text AS segmentation, l.text AS label, m.user AS user, m.probability / 1e6 AS probability,
    m.margin / 1e6 AS margin, {_tick("m.since")} AS since, c.cause AS cause,
    {_word("c.reason")} AS reason, c.backfilled AS backfilled, m.change_seq AS change_seq
FROM members m
JOIN vocabulary s ON s.id = m.segmentation AND s.kind = 'segmentation'
JOIN vocabulary l ON l.id = m.label AND l.kind = 'label'
LEFT JOIN membership_changes c ON c.seq = m.change_seq"""

CHANGES = f"""CREATE VIEW v_changes AS
WITH {_limits()}
SELECT c.seq AS seq, {_somebody("c.user")} AS user, s.text AS segmentation,
    {_word("c.from_label")} AS from_label, {_word("c.to_label")} AS to_label,
    c.probability / 1e6 AS probability, {_tick("c.as_of")} AS as_of, c.cause AS cause,
    {_word("c.reason")} AS reason, c.cause_seq AS cause_seq, {_word("c.model")} AS model,
    c.backfilled AS backfilled, c.hindsight AS hindsight,
    {_moment(_commit("recorded_at", "changes", "c.seq"))} AS recorded_at
FROM membership_changes c
JOIN vocabulary s ON s.id = c.segmentation AND s.kind = 'segmentation'
LEFT JOIN limits ON limits.segmentation = c.segmentation AND limits."pass" = c."pass"
WHERE c.as_of <= coalesce(limits.until, {NO_LIMIT})"""

SIZES = f"""CREATE VIEW v_sizes AS
WITH {_limits()}
SELECT s.text AS segmentation, l.text AS label, {_tick("z.as_of")} AS as_of, z.users AS users,
    1.0 * z.users / nullif(sum(z.users) OVER (PARTITION BY z.segmentation, z.as_of), 0) AS share,
    z.expected / 1e6 AS expected
FROM sizes z
JOIN vocabulary s ON s.id = z.segmentation AND s.kind = 'segmentation'
JOIN vocabulary l ON l.id = z.label AND l.kind = 'label'
LEFT JOIN limits ON limits.segmentation = z.segmentation AND limits."pass" = z."pass"
WHERE z.as_of <= coalesce(limits.until, {NO_LIMIT})"""

VIEWS = (LOG, MEMBERS, CHANGES, SIZES)
CHANGES_COMMITS_INDEX = "CREATE INDEX commits_by_changes ON commits (changes_last)"
"""Finds the commit of a change; the other streams have theirs."""
