import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.csv_reader import open_csv
from batch.row_batch import BATCH_ROWS
from insight.errors import InputError

CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    st.sampled_from(list('",\r\n;\t\\ a')), max_size=8
)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=12)
)


def read(path: Path) -> list[tuple[int, list[str], str]]:
    """Line, values and original text of every row."""
    with open_csv(path) as table:
        return [
            (line, row, batch.original(index))
            for batch in table.batches
            for index, (line, row) in enumerate(zip(batch.lines, batch.rows, strict=True))
        ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def csv_line(row: list[str], quote_all: bool) -> str:
    return ",".join(
        '"' + value.replace('"', '""') + '"'
        if quote_all or any(character in value for character in '",\r\n')
        else value
        for value in row
    )


@given(
    rows=TABLES,
    line_end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
    last_line_end=st.booleans(),
    quote_all=st.booleans(),
)
def test_any_table_is_read_back_with_its_line_numbers(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    line_end: str,
    mark: str,
    last_line_end: bool,
    quote_all: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any_table.csv"
    text = mark + "a,b"
    expected = []
    for row in rows:
        text += line_end
        line = csv_line(row, quote_all)
        lines_before = len(re.findall("\r\n|\r|\n", text))
        expected.append((lines_before + 1, row, line))
        text += line
    path.write_bytes((text + line_end * last_line_end).encode())
    assert read(path) == expected


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_mark_and_line_ends_do_not_reach_the_values(path: Path, start: str, line_end: str) -> None:
    path.write_bytes(f"{start}a,b{line_end}1,x{line_end}2,y{line_end}".encode())
    with open_csv(path) as table:
        assert table.header == ["a", "b"]
    assert read(path) == [(2, ["1", "x"], "1,x"), (3, ["2", "y"], "2,y")]


def test_lines_are_counted_across_batches_and_quoted_line_ends(path: Path) -> None:
    count = 3 * BATCH_ROWS
    path.write_text("a,b\n" + '1,"x\ny"\n2,z\n' * count)
    found = read(path)
    assert [line for line, _, _ in found] == [
        line for number in range(count) for line in (3 * number + 2, 3 * number + 4)
    ]
    assert {original for _, _, original in found} == {'1,"x\ny"', "2,z"}


@pytest.mark.parametrize(
    ("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_another_delimiter_is_named(path: Path, delimiter: str, name: str) -> None:
    path.write_text(delimiter.join(["CustomerID", "Gender", "Location"]) + "\n")
    with pytest.raises(InputError, match=f"is separated by {name}"):
        read(path)


def test_an_empty_file_is_refused(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"file\.csv: is empty"):
        read(path)


def test_a_file_with_only_a_mark_is_refused(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(InputError, match="is empty"):
        read(path)


def test_the_line_that_is_not_utf8_is_named(path: Path) -> None:
    rows = [b"1,x\n"] * (2 * BATCH_ROWS)
    rows[BATCH_ROWS + 5] = "1,café\n".encode("latin-1")
    path.write_bytes(b"a,b\n" + b"".join(rows))
    with pytest.raises(InputError, match=rf"file\.csv:{BATCH_ROWS + 7}: is not UTF-8"):
        read(path)


def test_utf16_is_refused(path: Path) -> None:
    path.write_text("a,b\n1,x\n", encoding="utf-16")
    with pytest.raises(InputError, match=r"file\.csv:1: is not UTF-8"):
        read(path)


def test_a_quote_that_never_ends_is_refused(path: Path) -> None:
    path.write_text('a,b\n1,x\n2,"y\n' + "3,z\n" * 5)
    with pytest.raises(InputError, match="is not valid CSV"):
        read(path)


def test_a_workbook_named_csv_is_refused(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(InputError, match=r"is an Excel workbook.*Rename it to \.xlsx"):
        read(path)


def test_a_file_without_line_ends_is_refused(path: Path) -> None:
    path.write_bytes(b"x" * 1_000_000)
    with pytest.raises(InputError, match="has no line end"):
        read(path)
