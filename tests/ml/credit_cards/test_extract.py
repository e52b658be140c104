"""Extract: which rows of a file are customers, and which files are none."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.errors import InputError
from ml_pipeline.credit_cards.extract import LINE, keep_last, parse_customers
from ml_pipeline.credit_cards.options import CUSTOMER


def _complaint(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_customers(text, "cards.csv")
    return str(caught.value)


def test_of_rows_with_one_id_the_last_is_kept() -> None:
    rows = parse_customers("CUST_ID,BALANCE\nC2,1\nC1,2\nC2,3\nC1,\n", "cards.csv")
    kept = keep_last(rows)
    assert kept.to_dict("list") == {LINE: [5, 4], CUSTOMER: ["C1", "C2"], "BALANCE": ["", "3"]}


@given(st.lists(st.tuples(st.sampled_from("ABCDEFG"), st.integers(0, 9)), min_size=1))
def test_keeping_the_last_row_is_what_a_dictionary_does(rows: list[tuple[str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=[CUSTOMER, "BALANCE"])
    kept = keep_last(frame)
    assert dict(zip(kept[CUSTOMER], kept["BALANCE"], strict=True)) == dict(rows)
    assert list(kept[CUSTOMER]) == sorted({customer for customer, _ in rows})


def test_names_lose_their_case_and_cells_their_blanks() -> None:
    rows = parse_customers(" Cust_ID , balance\r\n C1 , 2 \r\n\r\n", "cards.csv")
    assert rows.to_dict("list") == {LINE: [2], CUSTOMER: ["C1"], "BALANCE": ["2"]}


def test_a_quoted_line_end_does_not_shift_the_line_numbers() -> None:
    text = 'CUST_ID,NOTE,BALANCE\nC1,"two\nlines",1\nC2,one,2\n'
    assert list(parse_customers(text, "cards.csv")[LINE]) == [3, 4]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cards.csv: is empty. Its first line must hold the column names, CUST_ID among them"),
        ("\nC1,2\n", "cards.csv: has an empty first line"),
        ("CUST_ID,BALANCE\n", "cards.csv: holds no customers. Give it one line for each customer"),
        ("ID,BALANCE\nC1,2\n", "cards.csv:1: has no column CUST_ID, only ID, BALANCE. Name the"),
        ("CUST_ID;BALANCE\nC1;2\n", "cards.csv:1: has no column CUST_ID, only CUST_ID;BALANCE"),
        ("CUST_ID,BALANCE,Balance\nC1,2,3\n", "cards.csv:1: has the column 'BALANCE' twice"),
        ("CUST_ID,BALANCE\nC1,2\nC2,1,5\n", "cards.csv:3: has 3 fields, its first line has 2"),
        ("CUST_ID,BALANCE\nC1\n", "cards.csv:2: has 1 fields, its first line has 2. Give each"),
        ("CUST_ID,BALANCE\n ,2\n", "cards.csv:2: CUST_ID is empty. Give the customer an id"),
        ("CUST_ID,BALANCE\nC\x071,2\n", "cards.csv:2: CUST_ID 'C\\x071' holds a character that"),
        ("CUST_ID,BALANCE\nC1,2\nC2,\0\n", "cards.csv:3: holds a NUL character. Save it as"),
        ('CUST_ID,BALANCE\nC1,"2\n', "cards.csv:2: is not valid CSV: unexpected end of data"),
    ],
)
def test_a_text_that_cannot_be_used_is_told_with_its_line(text: str, sentence: str) -> None:
    assert _complaint(text).startswith(sentence)
