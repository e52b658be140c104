"""The SQL of a dbt model as tokens with their places; Jinja in it is left as it is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*)|(?P<text>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<word>\"[^\"]*\"|[A-Za-z_]\w*)|(?P<mark><=|>=|<>|!=|::|\|\||[-+*/%<>=(),.;\[\]@&|])"
)
_CLAUSES = {
    *("where", "group", "having", "order", "union", "except", "intersect", "limit", "window"),
    *("join", "left", "right", "full", "inner", "cross", "from", "select", "on"),
}


@dataclass(frozen=True)
class Token:
    """A word, number, text or mark; `depth` counts the parentheses around it."""

    kind: str
    text: str
    start: int
    end: int
    depth: int


@dataclass(frozen=True)
class Span:
    """The tokens `first` to `last`, both inclusive, as indexes."""

    first: int
    last: int


def tokens_of(sql: str) -> list[Token]:
    """All tokens but comments, in lower case; a Jinja expression is a word, a Jinja tag nothing."""
    tokens: list[Token] = []
    depth = 0
    for match in _TOKEN.finditer(_JINJA.sub(_stand_in, sql)):
        kind = str(match.lastgroup)
        if kind == "comment":
            continue
        text = match.group() if kind == "text" else match.group().lower()
        depth -= text == ")"
        tokens.append(Token(kind, text, match.start(), match.end(), depth))
        depth += text == "("
    return tokens


def _stand_in(jinja: re.Match[str]) -> str:
    """As long as the Jinja, so that places stay right."""
    length = len(jinja.group())
    return "j".ljust(length, "_") if jinja.group().startswith("{{") else " " * length


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Index of the parenthesis that closes the one at `opening`."""
    depth = tokens[opening].depth
    return next(
        index
        for index in range(opening + 1, len(tokens))
        if tokens[index].text == ")" and tokens[index].depth == depth
    )


def clause(tokens: Sequence[Token], keyword: int) -> Span:
    """What follows the keyword of a clause (where, on, having), up to the next clause."""
    depth = tokens[keyword].depth
    end = keyword + 1
    while end < len(tokens):
        token = tokens[end]
        if token.depth < depth or (token.depth == depth and token.text in {*_CLAUSES, ";", ","}):
            break
        end += 1
    return Span(keyword + 1, end - 1)


def conjuncts(tokens: Sequence[Token], span: Span) -> Iterator[Span]:
    """The parts that `and` joins; of a span with `or` between them the whole."""
    depth = tokens[span.first].depth
    first, in_between = span.first, False
    level = [i for i in range(span.first, span.last + 1) if tokens[i].depth == depth]
    if any(tokens[index].text == "or" for index in level):
        yield span
        return
    for index in level:
        if tokens[index].text == "between":
            in_between = True
        elif tokens[index].text == "and" and in_between:
            in_between = False
        elif tokens[index].text == "and":
            yield Span(first, index - 1)
            first = index + 1
    yield Span(first, span.last)


def arguments(tokens: Sequence[Token], opening: int) -> list[Span]:
    """The arguments of a call, by the index of its opening parenthesis."""
    end, depth = closing(tokens, opening), tokens[opening].depth + 1
    found, first = [], opening + 1
    for index in range(opening + 1, end):
        if tokens[index].text == "," and tokens[index].depth == depth:
            found.append(Span(first, index - 1))
            first = index + 1
    return [*found, Span(first, end - 1)]
