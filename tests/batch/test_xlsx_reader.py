import warnings
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from batch.xlsx_reader import cell_text, open_xlsx
from insight.errors import InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.xlsx"


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    workbook.save(path)


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (datetime(2019, 1, 31), "m/d/yyyy", "1/31/2019"),  # noqa: DTZ001 - Excel has no time zones
        (date(2019, 1, 31), None, "1/31/2019"),
        (20190101, "General", "20190101"),
        (17850.0, "General", "17850"),
        (0.1 + 0.2, "General", "0.3"),
        (2424.5, "0.00", "2424.5"),
        (0.18, "0%", "18%"),
        (1, "0%", "100%"),
        (0.00001, "General", "0.00001"),
        ("18%", "@", "18%"),
        (None, "General", ""),
    ],
)
def test_a_cell_reads_as_the_published_text(value: object, number_format: str, text: str) -> None:
    assert cell_text(value, number_format) == text


def test_rows_have_their_numbers_and_the_width_of_the_header(path: Path) -> None:
    write(path, [["a", "b"], [1, "x"], [2], [], [3, "y, z"]])
    with open_xlsx(path) as table:
        assert table.header == ["a", "b"]
        (batch,) = table.batches
    assert list(zip(batch.lines, batch.rows, strict=True)) == [
        (2, ["1", "x"]),
        (3, ["2", ""]),
        (4, ["", ""]),
        (5, ["3", "y, z"]),
    ]
    assert batch.original(3) == '3,"y, z"'


@pytest.mark.parametrize("content", [b"", b"CustomerID,Gender\n1,M\n", b"PK\x03\x04 broken"])
def test_what_is_not_a_workbook_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with (
        pytest.raises(InputError, match=r"file\.xlsx: is not an Excel workbook"),
        open_xlsx(path),
    ):
        pass


def test_an_archive_without_a_workbook_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a workbook")
    with pytest.raises(InputError, match="is not an Excel workbook"), open_xlsx(path):
        pass


def test_an_empty_sheet_is_refused(path: Path) -> None:
    write(path, [])
    with pytest.raises(InputError, match="is empty"), open_xlsx(path):
        pass


SHEET, STYLES = "xl/worksheets/sheet1.xml", "xl/styles.xml"


def damage(path: Path, name: str, old: bytes, new: bytes) -> None:
    """Replace `old` in one part of the workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    assert old in parts[name]
    parts[name] = parts[name].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (SHEET, b't="n"', b't="s"'),  # IndexError: no such shared string
        (SHEET, b"<v>7</v>", b"<v>seven</v>"),  # ValueError
        (SHEET, b"</row>", b""),  # ParseError
        (SHEET, b'r="B2"', b'r="?"'),
        (SHEET, b'r="2"', b'r="x"'),
        (STYLES, b"</styleSheet>", b""),
        ("xl/workbook.xml", b"</workbook>", b""),
        ("xl/workbook.xml", b"sheetId=", b"other="),  # TypeError
        ("[Content_Types].xml", b"</Types>", b""),
    ],
)
def test_a_damaged_workbook_is_refused_in_one_line(
    path: Path, name: str, old: bytes, new: bytes
) -> None:
    write(path, [["a", "b"], ["x", 7]])
    damage(path, name, old, new)
    with (
        pytest.raises(InputError, match=r"^\S+file\.xlsx: is a damaged Excel workbook \(.+\)$"),
        open_xlsx(path) as table,
    ):
        list(table.batches)


def test_an_error_of_the_caller_is_not_called_damage(path: Path) -> None:
    write(path, [["a"], ["x"]])
    with pytest.raises(ValueError, match="mine"), open_xlsx(path):
        raise ValueError("mine")


def test_a_warning_of_openpyxl_is_not_shown(path: Path) -> None:
    write(path, [["a"], [date(2019, 1, 31)]])
    damage(path, SHEET, b"<v>43496</v>", b"<v>99999999999</v>")
    with warnings.catch_warnings(record=True) as shown, open_xlsx(path) as table:
        (batch,) = table.batches
    assert batch.rows == [["#VALUE!"]]
    assert not shown
