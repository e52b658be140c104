"""Every single edit that is made to a model: what a tired person could have written instead."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mutation.source_text import Span, Token, arguments, clause, closing, conjuncts, tokens_of

# Each pair both ways.
_SWAPS = (("<", "<="), (">", ">="), ("=", "<>"), ("+", "-"), ("*", "/"), ("and", "or"))
_SWAPPED = dict([*_SWAPS, ("asc", "desc"), ("true", "false")])
_SWAPPED |= {there: here for here, there in _SWAPPED.items()}
_FUNCTIONS = {"min": "max", "greatest": "least", "lag": "lead", "first_value": "last_value"}
_FUNCTIONS |= {"sum": "avg", "rank": "row_number", "floor": "ceil", "bool_or": "bool_and"}
_FUNCTIONS |= {"percentile_cont": "percentile_disc"}
_FUNCTIONS |= {there: here for here, there in _FUNCTIONS.items()}
# Each unit of time with another one.
_UNITS = {"second": "minute", "minute": "hour", "hour": "day", "day": "week", "week": "month"}
_UNITS |= {"month": "quarter", "quarter": "year", "year": "month", "isodow": "dow", "doy": "day"}
_UNITS |= {"epoch": "second"}
_JINJA = re.compile("j_{3,}")
_TYPES_WITH_NUMBERS = {"numeric", "decimal", "varchar", "char", "timestamp"}


@dataclass(frozen=True)
class Edit:
    """One edit of a model's text; `start` and `end` are places in it."""

    kind: str
    start: int
    end: int
    replacement: str

    def applied(self, sql: str) -> str:
        return sql[: self.start] + self.replacement + sql[self.end :]

    def line_number(self, sql: str) -> int:
        return sql.count("\n", 0, self.start) + 1

    def difference(self, sql: str) -> tuple[str, str]:
        """The text of the lines it touches, before and after, without outer blanks."""
        first = sql.rfind("\n", 0, self.start) + 1
        last = sql.find("\n", self.end)
        rest = len(sql) - (len(sql) if last < 0 else last)
        edited = self.applied(sql)
        return _flat(sql[first : len(sql) - rest]), _flat(edited[first : len(edited) - rest])


def edits_of(sql: str) -> list[Edit]:
    """All edits, in the order of the text."""
    tokens = tokens_of(sql)
    found = {edit for find in _FINDERS for edit in find(tokens)}
    return sorted(found, key=lambda edit: (edit.start, edit.end, edit.kind, edit.replacement))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _replace(kind: str, tokens: Sequence[Token], span: Span, replacement: str) -> Edit:
    return Edit(kind, tokens[span.first].start, tokens[span.last].end, replacement)


def _one(kind: str, token: Token, replacement: str) -> Edit:
    return Edit(kind, token.start, token.end, replacement)


def _around(tokens: Sequence[Token], index: int) -> tuple[str, str]:
    before = tokens[index - 1].text if index else ""
    after = tokens[index + 1].text if index + 1 < len(tokens) else ""
    return before, after


def _joins(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-1]):
        if tokens[index + 1].text == "join" and token.text in ("left", "inner", "full"):
            yield _one("join", token, "inner" if token.text == "left" else "left")


def _swaps(tokens: Sequence[Token]) -> Iterator[Edit]:
    joined, ranges = _join_conditions(tokens), _ends_of_between(tokens)
    for index, token in enumerate(tokens):
        before, after = _around(tokens, index)
        # Without its key a join is a product of two tables, which never ends.
        if (token.text == "=" and index in joined) or index in ranges:
            continue
        if token.text in "+-*/" and not _is_binary(before, after):
            continue
        if before == "on" and token.text == "true":
            continue
        if token.text in _SWAPPED:
            yield _one("swap", token, _SWAPPED[token.text])


def _is_binary(before: str, after: str) -> bool:
    starts_value = {"", "select", "distinct", "(", ",", ".", "=", "<", ">", "then", "else", "by"}
    return before not in starts_value and after not in {")", ",", "from", ""}


def _join_conditions(tokens: Sequence[Token]) -> set[int]:
    spans = [clause(tokens, i) for i, token in enumerate(tokens) if token.text == "on"]
    return {index for span in spans for index in range(span.first, span.last + 1)}


def _ends_of_between(tokens: Sequence[Token]) -> set[int]:
    """The `and` of each `between ... and ...`."""
    found = set()
    for index, token in enumerate(tokens):
        if token.text == "between":
            found.add(
                next(
                    i
                    for i in range(index, len(tokens))
                    if tokens[i].text == "and" and tokens[i].depth == token.depth
                )
            )
    return found


def _calls(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-2]):
        if tokens[index + 1].text != "(":
            continue
        if token.text in _FUNCTIONS:
            yield _one("function", token, _FUNCTIONS[token.text])
        if token.text == "count" and tokens[index + 2].text not in ("*", "distinct"):
            yield _replace("function", tokens, arguments(tokens, index + 1)[0], "*")


def _defaults(tokens: Sequence[Token]) -> Iterator[Edit]:
    """A call of coalesce, nullif, greatest or least is left with its first argument alone."""
    for index, token in enumerate(tokens[:-1]):
        if token.text in ("coalesce", "nullif", "greatest", "least"):
            if tokens[index + 1].text != "(":
                continue
            end = closing(tokens, index + 1)
            first = arguments(tokens, index + 1)[0]
            kept = Span(first.last + 1, end - 1)
            if kept.first <= kept.last:
                yield _replace("default dropped", tokens, kept, "")


def _constants(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens):
        before, _ = _around(tokens, index)
        if token.kind == "number" and not _is_in_type(tokens, index):
            yield _one("constant", token, _next_number(token.text))
        if token.kind == "text" and not _JINJA.search(token.text):
            yield _one("constant", token, _other_text(token.text, before))
        if before == "(" and token.text in _UNITS and tokens[index - 2].text == "extract":
            yield _one("unit", token, _UNITS[token.text])


def _is_in_type(tokens: Sequence[Token], index: int) -> bool:
    opening = max(
        (
            i
            for i in range(index)
            if tokens[i].text == "(" and tokens[i].depth < tokens[index].depth
        ),
        default=0,
    )
    return opening > 0 and tokens[opening - 1].text in _TYPES_WITH_NUMBERS


def _next_number(number: str) -> str:
    whole, dot, part = number.partition(".")
    if part:
        return f"{whole}{dot}{(int(part[0]) + 1) % 10}{part[1:]}"
    return str(int(whole) + 1)


def _other_text(quoted: str, before: str) -> str:
    text = quoted[1:-1]
    if text in _UNITS:
        return f"'{_UNITS[text]}'"
    if before == "interval":
        return (
            "'" + re.sub(r"\d+", lambda number: _next_number(number.group()), text, count=1) + "'"
        )
    return f"'{text}x'"


def _conditions(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-1]):
        if token.text not in ("where", "having", "on") or tokens[index + 1].text == "true":
            continue
        if _around(tokens, index)[0] == "distinct":
            continue
        parts = list(conjuncts(tokens, clause(tokens, index)))
        if token.text != "on" or len(parts) > 1:
            for part in parts:
                yield _replace("condition dropped", tokens, part, "true")


def _negations(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-1]):
        before, after = _around(tokens, index)
        if token.text == "is" and after == "null":
            yield _one("negation", token, "is not")
        elif token.text == "not" and after not in ("materialized", "exists"):
            yield _one("negation", token, "")
        elif token.text == "distinct" and before != "is" and after not in ("on", "from"):
            yield _one("distinct dropped", token, "")


def _unions(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-1]):
        if token.text == "union":
            following = tokens[index + 1]
            last = following if following.text == "all" else token
            for replacement in ("union" if last is following else "union all", "except all"):
                yield Edit("union", token.start, last.end, replacement)


def _windows(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-1]):
        if token.text == "partition" and tokens[index + 1].text == "by":
            span = Span(index, _end_of_list(tokens, index))
            yield _replace("partition dropped", tokens, span, "")
        if token.text == "order" and tokens[index + 1].text == "by":
            last = _end_of_list(tokens, index)
            if last > index + 1 and tokens[last].text not in ("asc", "desc", "last", "first"):
                yield Edit("order", tokens[last].end, tokens[last].end, " desc")


def _end_of_list(tokens: Sequence[Token], keyword: int) -> int:
    """Index of the last token of `partition by ...` or `order by ...`."""
    depth = tokens[keyword].depth
    stops = {"order", "rows", "range", "groups", "limit", "union", ";"}
    for index in range(keyword + 2, len(tokens)):
        token = tokens[index]
        if token.depth < depth or (token.depth == depth and token.text in stops):
            return index - 1
    return len(tokens) - 1


def _branches(tokens: Sequence[Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens):
        if token.text == "case":
            yield from _branches_of(tokens, index)


def _branches_of(tokens: Sequence[Token], case: int) -> Iterator[Edit]:
    """Each `when` of one case left out, and its `else` made null."""
    inner, marks = 0, []
    for index in range(case + 1, len(tokens)):
        text = tokens[index].text
        if text == "case":
            inner += 1
        elif text == "end" and inner:
            inner -= 1
        elif text in ("when", "else", "end") and not inner:
            marks.append(index)
            if text == "end":
                break
    whens = [index for index in marks if tokens[index].text == "when"]
    for start, following in pairwise(marks):
        span = Span(start, following - 1)
        if tokens[start].text == "when" and len(whens) > 1:
            yield _replace("branch dropped", tokens, span, "")
        elif tokens[start].text == "else" and tokens[start + 1].text != "null":
            yield _replace("branch dropped", tokens, span, "else null")


_FINDERS: tuple[Callable[[Sequence[Token]], Iterator[Edit]], ...] = (
    *(_joins, _swaps, _calls, _defaults, _constants, _conditions, _negations, _unions),
    *(_windows, _branches),
)
