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
