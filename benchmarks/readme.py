"""The results in benchmarks/README.md: each part has its place between two markers."""

from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).with_name("README.md")


def write(name: str, content: str) -> None:
    """Replace what stands between the markers of a part."""
    README.write_text(between_markers(README.read_text(), name, content))


def between_markers(text: str, name: str, content: str) -> str:
    """The text with other content between the markers of `name`. Raises ValueError without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"there is no {begin} ... {end}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers, to the right."""
    rule = ("---", *["---:"] * (len(head) - 1))
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])
