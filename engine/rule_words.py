"""The words of a rule: what may stand in its text at all, and in what order.

sqlglot cuts the text into tokens; each must be on a short list or a name that is known. What then goes to
sqlglot's parser is operators, brackets and numbered operands, nothing else.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from sqlglot import Tokenizer, TokenType
from sqlglot.errors import TokenError

from engine.errors import EngineError, UnknownName
from engine.rule_tree import Literal, Name, Type

LONGEST = 4096
DEEPEST = 32
TOO_DEEP = f"the rule is nested too deep; at most {DEEPEST} levels are allowed"
ALLOWED = "AND, OR, NOT, comparisons, IN, BETWEEN, IS NULL, + - * /, numbers, texts and names"

SIGNS = {TokenType.PLUS, TokenType.DASH}
INFIX = SIGNS | {
    TokenType.AND, TokenType.OR, TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT,
    TokenType.GTE, TokenType.IN, TokenType.BETWEEN, TokenType.IS, TokenType.STAR, TokenType.SLASH,
    TokenType.COMMA,
}  # fmt: skip
OTHERS = {TokenType.NOT, TokenType.NULL, TokenType.L_PAREN, TokenType.R_PAREN}
TRUTHS = {TokenType.TRUE, TokenType.FALSE}


@dataclass(frozen=True)
class Word:
    """A token of the text from offset `start` to `end`, and the operand it is, if it is one."""

    kind: TokenType
    text: str
    start: int
    end: int
    operand: Name | Literal | None = None


def refuse(text: str, start: int, why: str, error: type[EngineError] = EngineError) -> NoReturn:
    """An error with the line and column of the offset `start` of `text`."""
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    raise error(f"In the rule, line {line}, column {column}: {why}.")


def nearest(name: str, known: list[str]) -> str:
    """The names an operator may have meant."""
    near = get_close_matches(name[:64], known, n=3, cutoff=0.5)
    if near:
        return f"the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
    some = ", ".join(known[:8])
    return f"there are {some}{', …' if len(known) > 8 else ''}" if known else "there are no names"


def shown(text: str) -> str:
    """The text quoted, cut where it is long."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


def is_word(name: str) -> bool:
    """Whether rules read a name without quotes as a word of their own, in whatever case it is written."""
    return name.isidentifier() and Tokenizer().tokenize(name)[0].token_type in INFIX | OTHERS | TRUTHS


def words_of(text: str, types: Mapping[str, Type]) -> list[Word]:
    """The words of a rule over names of these types; EngineError at the first that may not stand there."""
    _check_text(text)
    try:
        tokens = Tokenizer().tokenize(text)
    except TokenError:
        refuse(text, 0, "the rule cannot be read; check its quotes")
    if not tokens:
        raise EngineError("The rule is empty; write one such as recency_days > 60 AND orders_365d >= 3.")
    words = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        word = Word(token.token_type, token.text, token.start, token.end + 1)
        calls = after is not None and after.token_type is TokenType.L_PAREN
        words.append(Word(word.kind, word.text, word.start, word.end, _operand(text, word, types, calls)))
    _check_order(text, words)
    _check_depth(text, words)
    return words


def _check_text(text: str) -> None:
    """Length, characters, quotes and comments."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        refuse(text, error.start, "this character is half of one; type it again")
    if size > LONGEST:
        raise EngineError(f"The rule has {size:,} bytes; at most {LONGEST:,} are allowed, so split it.")
    control = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
    if control:
        refuse(text, control.start(), "a control character is not allowed; leave it out")
    # Texts and quoted names are skipped whole; a doubled quote is two of them side by side.
    outside = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: "." * len(quoted.group()), text)
    stray = re.search(r"['\"]", outside)
    if stray:
        refuse(text, stray.start(), "a quote is opened here and not closed; close it with the same quote")
    comment = re.search(r"--|/\*|\{#", outside)
    if comment:
        refuse(text, comment.start(), "comments are not allowed; leave it out, or write - - with a space")


def _operand(text: str, word: Word, types: Mapping[str, Type], calls: bool) -> Name | Literal | None:
    """The operand a word is; None for an operator or bracket; anything else is refused."""
    kind, quoted = word.kind, word.kind is TokenType.IDENTIFIER
    if kind is TokenType.STRING:
        return Literal(word.text, Type.TEXT)
    if kind is TokenType.NUMBER:
        return Literal(_number(text, word), Type.NUMBER)
    if kind in INFIX or kind in OTHERS:
        return None
    if kind in TRUTHS:
        return Literal(kind is TokenType.TRUE, Type.TRUTH)
    # sqlglot takes many a feature's name for a keyword, so names come before keywords.
    if word.text in types and (quoted or not calls):
        return Name(word.text, types[word.text])
    if not quoted and calls:
        refuse(text, word.start, f"{shown(word.text)} would be a function, and a rule has none")
    if not quoted and kind is not TokenType.VAR:
        told = f"{shown(word.text)} is not allowed; a rule is made of {ALLOWED}"
    else:
        told = f"nothing is called {shown(word.text)}; {nearest(word.text, list(types))}"
    refuse(text, word.start, told, UnknownName)


def _number(text: str, word: Word) -> int | float:
    plain = re.fullmatch(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", word.text)
    value = float(word.text) if plain else math.inf
    if not math.isfinite(value):
        refuse(text, word.start, f"{shown(word.text)} is not a number that can be used")
    return int(word.text) if word.text.isdigit() and value < 2**53 else value


def _check_order(text: str, words: list[Word]) -> None:
    """Operators stand between operands, and every bracket is closed."""
    opened: list[Word] = []
    complete = False  # whether the words so far could end a rule
    for position, word in enumerate(words):
        kind = word.kind
        before = [earlier.kind for earlier in words[max(position - 2, 0) : position]]
        if word.operand is not None or kind is TokenType.L_PAREN:
            if complete:
                refuse(
                    text, word.start, f"an operator is missing before {shown(text[word.start : word.end])}"
                )
            complete = word.operand is not None
            opened += [word] if kind is TokenType.L_PAREN else []
        elif kind is TokenType.R_PAREN:
            if not opened:
                refuse(text, word.start, "this bracket closes none; open it or leave it out")
            if not complete:
                refuse(text, word.start, "something is missing before this bracket")
            opened.pop()
        elif kind is TokenType.NULL:
            if before[-1:] != [TokenType.IS] and before != [TokenType.IS, TokenType.NOT]:
                refuse(text, word.start, "NULL cannot be compared; ask with IS NULL or IS NOT NULL")
            complete = True
        else:
            negated = kind in (TokenType.IN, TokenType.BETWEEN) and before[-1:] == [TokenType.NOT]
            if kind in INFIX - SIGNS and not complete and not negated:
                refuse(text, word.start, f"something is missing before {shown(word.text)}")
            complete = False
    if opened:
        refuse(text, opened[-1].start, "this bracket is not closed")
    if not complete:
        refuse(text, words[-1].start, f"something is missing after {shown(words[-1].text)}")


def _check_depth(text: str, words: list[Word]) -> None:
    """Open brackets, and the signs and NOTs before an operand, are few enough for a recursive parser."""
    levels = [0]
    for before, word in zip([None, *words], words, strict=False):
        if word.kind is TokenType.L_PAREN:
            levels.append(0)
        elif word.kind is TokenType.R_PAREN:
            levels.pop()
            levels[-1] = 0
        elif word.operand is not None or word.kind is TokenType.NULL:
            levels[-1] = 0
        elif word.kind is TokenType.NOT or (
            word.kind in SIGNS and (before is None or before.operand is None)
        ):
            levels[-1] += 1
        if len(levels) - 1 + sum(levels) > DEEPEST:
            refuse(text, word.start, TOO_DEEP)
