"""Rules mean what SQL means, and whatever is not on the list is refused in one sentence that says where."""

import operator

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from engine.errors import EngineError
from engine.rules import compile_rule, parse_rule, truth

COLUMNS = {
    "recency_days": pl.Int64(),
    "orders_90d": pl.Int64(),
    "orders_365d": pl.Int64(),
    "spend": pl.Float64(),
    "plan": pl.String(),
    "kind": pl.Categorical(),
    "value": pl.Enum(["high", "medium", "low"]),
    "loyal": pl.Boolean(),
    # sqlglot has keywords by these names, and one that needs quotes.
    "date": pl.Int64(),
    "share": pl.Float64(),
    "order": pl.Int64(),
    "first-order": pl.Int64(),
    # No rule can ask for these.
    "*": pl.Int64(),
    "^.*$": pl.Int64(),
    "since": pl.Datetime(),
    "scores": pl.Binary(),
}
ROWS = [
    {"recency_days": 3, "orders_90d": 5, "spend": 10.5, "plan": "gold", "value": "high", "loyal": True},
    {"recency_days": 90, "orders_90d": 0, "spend": None, "plan": None, "value": "low", "loyal": None},
    {"recency_days": None, "orders_90d": 2, "spend": -4.0, "plan": "it's", "value": None, "loyal": False},
    {"recency_days": 0, "orders_90d": 1, "spend": 0.0, "plan": "", "value": "medium", "loyal": True},
]
FRAME = pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in ROWS], schema=COLUMNS)


def holding(text):
    """The positions of the rows for which the rule holds."""
    flags = FRAME.select(compile_rule(text, COLUMNS)).to_series()
    assert flags.dtype == pl.Boolean
    assert len(flags) == len(FRAME)
    assert flags.null_count() == 0
    assert_series_equal(truth(parse_rule(text, COLUMNS), FRAME), flags, check_names=False)
    return flags.arg_true().to_list()


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("recency_days > 2", [0, 1]),
        ("recency_days >= 3 AND orders_90d < 5", [1]),
        ("recency_days > 60 or orders_90d = 2", [1, 2]),
        ("NOT recency_days > 2", [3]),
        ("orders_90d <> 1", [0, 1, 2]),
        ("orders_90d != 1", [0, 1, 2]),
        ("orders_90d == 1", [3]),
        ("recency_days IS NULL", [2]),
        ("recency_days IS NOT NULL and spend is null", [1]),
        ("orders_90d IN (1, 2.0, -7)", [2, 3]),
        ("orders_90d NOT IN (1, 2)", [0, 1]),
        ("recency_days NOT IN (1, 2)", [0, 1, 3]),
        ("spend BETWEEN -4 AND 0", [2, 3]),
        ("spend NOT BETWEEN -4 AND 0", [0]),
        ("plan = 'gold'", [0]),
        ("plan <> 'gold'", [2, 3]),
        ("plan = 'it''s'", [2]),
        ("plan IN ('gold', '')", [0, 3]),
        ("value = 'high' OR value = 'low'", [0, 1]),
        ("value in ('medium')", [3]),
        ("loyal", [0, 3]),
        ("NOT loyal", [2]),
        ("loyal = FALSE", [2]),
        ("loyal <> true", [2]),
        ("orders_90d + 1 > recency_days * 2", [3]),
        ("spend / orders_90d > 2", [0]),
        ("spend / 0 > 1 or spend / 0 <= 1", []),
        ("-spend > 3", [2]),
        ("- - spend > 3", [0]),
        ("orders_90d - -1 = 3", [2]),
        ("orders_90d - 1 - 1 = 0", [2]),
        ("12 / 2 / 3 = orders_90d", [2]),
        ("2 + 3 * 1 = orders_90d", [0]),
        ("orders_90d > 0 and orders_90d > 1 or orders_90d = 0", [0, 1, 2]),
        ("orders_90d = 0 or orders_90d > 1 and recency_days > 2", [0, 1]),
        ("((orders_90d = 0) or orders_90d > 1) and recency_days > 2", [0, 1]),
        ("orders_90d > 1e0", [0, 2]),
        ('"orders_90d" > 1', [0, 2]),
        ("orders_90d\n  >\t1\r\n", [0, 2]),
        ('"first-order" IS NULL AND date IS NULL AND share IS NULL AND "order" IS NULL', [0, 1, 2, 3]),
        ("order is null", [0, 1, 2, 3]),
        ("date > 3 or orders_90d = 5", [0]),
    ],
)
def test_rules_mean_what_sql_means(rule, rows):
    assert holding(rule) == rows


def test_a_product_does_not_wrap_around():
    frame = pl.DataFrame({"spend": [2**40]})
    rule = compile_rule("spend * spend > 0", dict(frame.schema))
    assert frame.select(rule).item() is True


def test_a_quotient_is_rounded_once():
    frame = pl.DataFrame({"orders": [3, 7, None]})
    rule = compile_rule("orders / 10 = 0.3 OR 3 / 10 = orders / 10", dict(frame.schema))
    assert frame.select(rule).to_series().to_list() == [True, False, False]


@pytest.mark.parametrize("rule", ["user = 'x'", "'x' <> user", "user IN (1, 'x')"])
def test_a_name_is_explained_where_it_is_compared_with_another_type(rule):
    columns = {"user": pl.Int64(), "spend": pl.Float64()}
    with pytest.raises(EngineError, match=r"where .* is needed; it counts users\.$"):
        parse_rule(rule, columns, {"user": "it counts users"})
    with pytest.raises(EngineError, match=r"is needed\.$"):
        parse_rule("spend = 'x'", columns, {"user": "it counts users"})


REFUSED = [
    ("ordrs_90d > 3", 1, 1, "nothing is called 'ordrs_90d'; the nearest are orders_90d"),
    ("recency_days > 3 AND\n  spned > 3", 2, 3, "the nearest is spend"),
    ("zzzzqqqq > 3", 1, 1, "there are recency_days, orders_90d"),
    ("value = 'hgh'", 1, 9, "value is never 'hgh'; the nearest is high"),
    ("value IN ('high', 'lwo')", 1, 19, "the nearest is low"),
    ("recency_days > 'x'", 1, 16, "this is a text where a number is needed"),
    ("plan > 'x'", 1, 1, "> compares numbers"),
    ("loyal < true", 1, 1, "< compares numbers"),
    ("plan = 3", 1, 8, "this is a number where a text is needed"),
    ("plan BETWEEN 'a' AND 'b'", 1, 1, "this is a text where a number is needed"),
    ("plan + 1 > 2", 1, 1, "this is a text"),
    ("recency_days", 1, 1, "gives a number"),
    ("recency_days and loyal", 1, 1, "true or false is needed"),
    ("recency_days = NULL", 1, 16, "IS NULL"),
    ("NULL IS NULL", 1, 1, "NULL cannot be compared"),
    ("loyal IS TRUE", 1, 10, "IS goes with NULL"),
    ("1 = 1", 1, 1, "names no feature"),
    ("TRUE", 1, 1, "names no feature"),
    ("spend >", 1, 7, "something is missing after '>'"),
    ("> 3", 1, 1, "something is missing before '>'"),
    ("in (1)", 1, 1, "something is missing before 'in'"),
    ("spend > 3 not", 1, 11, "missing after 'not'"),
    ("spend IN ()", 1, 11, "something is missing before this bracket"),
    ("spend IN 5", 1, 1, "IN needs its values in brackets"),
    ("spend IN (share)", 1, 11, "must be written out"),
    ("loyal IN (true)", 1, 1, "IN goes with numbers and texts"),
    ("(spend > 1", 1, 1, "this bracket is not closed"),
    ("spend > 1)", 1, 10, "closes none"),
    ("spend > 'x", 1, 9, "a quote is opened here"),
    ('"spend > 1', 1, 1, "a quote is opened here"),
    ("spend > 1 -- all", 1, 11, "comments are not allowed"),
    ("spend /* x */ > 1", 1, 7, "comments are not allowed"),
    ("spend {# x #} > 1", 1, 7, "comments are not allowed"),
    ("spend share > 1", 1, 7, "an operator is missing before 'share'"),
    ("spend > 1 2", 1, 11, "an operator is missing before '2'"),
    ("'a' 'b' = plan", 1, 5, "an operator is missing"),
    ("spend > 1, loyal", 1, 10, "cannot be read"),
    ("(spend, share) = (1, 2)", 1, 2, "cannot be used"),
    ("spend < share < 3", 1, 17, "true or false is needed"),
    ("spend BETWEEN 1", 1, 15, "cannot be read"),
    ("spend > 1e999", 1, 9, "not a number that can be used"),
    ("spend > 1; spend > 2", 1, 10, "';' is not allowed"),
    ("SELECT 1", 1, 1, "'SELECT' is not allowed"),
    ("spend IN (SELECT 1)", 1, 11, "'SELECT' is not allowed"),
    ("EXISTS (SELECT 1)", 1, 1, "would be a function"),
    ("CASE WHEN loyal THEN 1 END", 1, 1, "'CASE' is not allowed"),
    ("plan LIKE '%x'", 1, 6, "'LIKE' is not allowed"),
    ("plan ~ 'x'", 1, 6, "'~' is not allowed"),
    ("plan || 'x' = 'y'", 1, 6, "'||' is not allowed"),
    ("spend % 2 = 0", 1, 7, "'%' is not allowed"),
    ("spend::int > 1", 1, 6, "'::' is not allowed"),
    ("a.spend > 1", 1, 1, "nothing is called 'a'"),
    ("spend.x > 1", 1, 6, "'.' is not allowed"),
    ("spend[0] > 1", 1, 6, "'[' is not allowed"),
    ("spend > :x", 1, 9, "':' is not allowed"),
    ("spend > @x", 1, 9, "'@' is not allowed"),
    ("spend > ?", 1, 9, "'?' is not allowed"),
    ("NOW() > 1", 1, 1, "'NOW' would be a function"),
    ("spend > SUM(spend)", 1, 9, "'SUM' would be a function"),
    ("spend (1) > 1", 1, 1, "'spend' would be a function"),
    ("LPAD(plan, 1000000000, 'x') = 'y'", 1, 1, "would be a function"),
    ("CAST(spend AS INT) > 1", 1, 1, "would be a function"),
    ("spend > ALL (1)", 1, 9, "would be a function"),
    ("COLUMNS('.*') > 1", 1, 1, "would be a function"),
    ("* > 1", 1, 1, "something is missing before '*'"),
    ('"*" > 1', 1, 1, "nothing is called '*'"),
    ('"^.*$" > 1', 1, 1, "nothing is called '^.*$'"),
    ("scores = 'x'", 1, 1, "nothing is called 'scores'"),
    ("since > 3", 1, 1, "nothing is called 'since'"),
    ("spend\x00 > 1", 1, 6, "control character"),
    ("spend > 1\ud800", 1, 10, "half of one"),
    ("x'ff' = 1", 1, 1, "nothing is called 'x'"),
    ("N'x' = plan", 1, 1, "is not allowed"),
    ("spend IS DISTINCT FROM 1", 1, 10, "'DISTINCT' is not allowed"),
    ("spend NOT NULL", 1, 11, "IS NULL"),
]


@pytest.mark.parametrize(("rule", "line", "column", "says"), REFUSED)
def test_what_is_not_on_the_list_is_refused_with_its_place(rule, line, column, says):
    with pytest.raises(EngineError) as refusal:
        compile_rule(rule, COLUMNS)
    message = str(refusal.value)
    assert message.startswith(f"In the rule, line {line}, column {column}: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("rule", ["", "   ", "\n\t"])
def test_an_empty_rule_is_refused_with_an_example(rule):
    with pytest.raises(EngineError, match="The rule is empty; write one such as"):
        compile_rule(rule, COLUMNS)


@pytest.mark.parametrize(
    "rule",
    [
        "loyal AND " * 50_000 + "loyal",
        "(" * 50_000 + "loyal" + ")" * 50_000,
        "loyal OR plan = '" + "é" * 2_100 + "'",
    ],
)
def test_a_long_rule_is_refused_by_its_bytes(rule):
    with pytest.raises(EngineError, match="bytes; at most 4,096"):
        compile_rule(rule, COLUMNS)


@pytest.mark.parametrize(
    "rule",
    [
        "(" * 2_000 + "loyal" + ")" * 2_000,
        "NOT " * 1_000 + "loyal",
        "spend > " + "- " * 2_000 + "1",
        "NOT (" * 600 + "loyal" + ")" * 600,
        "spend > " + "-(" * 1_000 + "1" + ")" * 1_000,
        "spend > " + "+".join("1" * 1_000),
        "spend IN (" + "(" * 1_900 + "1" + ")" * 1_900 + ")",
        "(" * 33 + "loyal" + ")" * 33,
    ],
)
def test_a_deep_rule_is_refused_by_its_depth(rule):
    with pytest.raises(EngineError, match="nested too deep; at most 32 levels"):
        compile_rule(rule, COLUMNS)


@pytest.mark.parametrize(
    ("rule", "column"), [("NOT " * 900 + "loyal", 129), ("spend > " + "- " * 900 + "1", 73)]
)
def test_a_deep_rule_is_refused_where_it_is_too_deep_before_it_is_parsed(rule, column):
    with pytest.raises(EngineError, match=f"column {column}: the rule is nested too deep"):
        compile_rule(rule, COLUMNS)


@pytest.mark.parametrize(
    "rule",
    [
        " OR ".join(["orders_90d=5"] * 250),
        " AND ".join(["orders_90d=5"] * 230),
        "orders_90d IN (5" + ",1" * 2_000 + ")",
        "(" * 32 + "orders_90d=5" + ")" * 32,
        "NOT " * 30 + "orders_90d=5",
        "orders_90d = 5" + " + 0" * 30,
    ],
)
def test_a_rule_within_the_limits_is_compiled_however_long(rule):
    assert holding(rule)[:1] == [0]


# --- properties ------------------------------------------------------------------------------------------

NUMBERS = ("recency_days", "orders_90d", "spend")
COMPARE = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPUTE = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def unknown_if_any(function):
    """The function, unknown (None) where an argument is."""
    return lambda *given: None if None in given else function(*given)


def both(one, other):
    return False if one is False or other is False else unknown_if_any(operator.and_)(one, other)


def either(one, other):
    return True if one is True or other is True else unknown_if_any(operator.or_)(one, other)


constants = st.integers(-3, 95).map(lambda n: (str(n), lambda _, n=n: n))
columns = st.sampled_from(NUMBERS).map(lambda name: (name, lambda row: row[name]))


@st.composite
def numbers(draw, depth=2):
    """(text in brackets, what it gives for a row)."""
    if depth == 0 or draw(st.booleans()):
        return draw(columns | constants)
    sign = draw(st.sampled_from(sorted(COMPUTE)))
    (one, left), (other, right) = draw(numbers(depth - 1)), draw(numbers(depth - 1))

    def computed(row):
        given = left(row), right(row)
        if sign == "/" and given[1] == 0:
            return None
        return unknown_if_any(COMPUTE[sign])(*given)

    return f"({one} {sign} {other})", computed


@st.composite
def truths(draw, depth=3):
    """(text, what it gives for a row, unknown being None)."""
    form = draw(
        st.sampled_from(["compare", "null", "in", "between", "and", "or", "not"] if depth else ["compare"])
    )
    if form in ("and", "or"):
        (one, left), (other, right) = draw(truths(depth - 1)), draw(truths(depth - 1))
        joined = both if form == "and" else either
        return f"({one} {form} {other})", lambda row: joined(left(row), right(row))
    if form == "not":
        one, left = draw(truths(depth - 1))
        return f"NOT ({one})", lambda row: unknown_if_any(operator.not_)(left(row))
    one, left = draw(numbers())
    if form == "null":
        return f"{one} IS NULL", lambda row: left(row) is None
    if form == "in":
        values = draw(st.lists(st.integers(-3, 95), min_size=1, max_size=4))
        listed = ", ".join(map(str, values))
        return f"{one} IN ({listed})", lambda row: unknown_if_any(values.__contains__)(left(row))
    other, right = draw(numbers())
    if form == "between":
        end, last = draw(numbers())
        within = unknown_if_any(operator.le)
        return (
            f"{one} BETWEEN {other} AND {end}",
            lambda row: both(within(right(row), left(row)), within(left(row), last(row))),
        )
    sign = draw(st.sampled_from(sorted(COMPARE)))
    return f"{one} {sign} {other}", lambda row: unknown_if_any(COMPARE[sign])(left(row), right(row))


@settings(max_examples=200)
@given(rule=truths())
def test_any_rule_gives_what_three_valued_logic_gives(rule):
    text, expected = rule
    assert holding(f"({text}) OR orders_90d > 100") == [
        at for at, row in enumerate(ROWS) if either(expected(row), row["orders_90d"] > 100)
    ]


PIECES = (
    "loyal", "spend", "plan", "value", '"first-order"', "nobody", "1", "2.5", "'x'", "''", "'", '"',
    "AND", "or", "NOT", "IN", "BETWEEN", "IS", "NULL", "TRUE", "(", ")", "(", ")", ",", "=", "<>", "<", ">=",
    "+", "-", "*", "/", "--", ";", ".", "::", "CASE", "SELECT", "LIKE", "$1", "{{", "\n", "\\", "é", "🙂",
)  # fmt: skip


def compiles_or_is_refused(text):
    try:
        rule = compile_rule(text, COLUMNS)
    except EngineError as refusal:
        message = str(refusal)
        assert message.startswith(("In the rule, line ", "The rule is empty", "The rule has "))
        assert message.endswith(".")
        assert "\n" not in message
        return
    flags = FRAME.select(rule).to_series()
    assert flags.dtype == pl.Boolean
    assert len(flags) == len(FRAME)


@settings(max_examples=500)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=14))
@example(["spend", ">", "NOT", "IN", "(", "1", ")"])
@example(["loyal", "NOT", "(", "loyal", ")"])
@example(["NOT", "IN", "(", "loyal", ")"])
@example(["loyal", "IS", "NOT", "NULL", "IS", "NULL"])
def test_any_words_compile_or_are_refused(pieces):
    compiles_or_is_refused(" ".join(pieces))


@given(text=st.text(max_size=200))
def test_any_text_compiles_or_is_refused(text):
    compiles_or_is_refused(text)


def test_the_checked_tree_has_no_more_than_the_rule():
    tree = parse_rule("recency_days > 60 AND NOT loyal", COLUMNS)
    assert [type(part).__name__ for part in tree.parts] == ["Comparison", "Not"]
