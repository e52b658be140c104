"""Bad input on the command line: one line that says what, where and what next; exit code 1."""

from collections.abc import Callable
from pathlib import Path

import pytest
from workplace import Workplace

from insight.services import keep_running
from insight.services.lease import lease


@pytest.fixture(scope="module")
def workplace(new_workplace: Callable[..., Workplace]) -> Workplace:
    """Services that stay up, so that each command is quick."""
    made = new_workplace()
    keep_running(made.home)
    return made


def complaint(workplace: Workplace, *arguments: str) -> str:
    outcome = workplace.insight(*arguments)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith("Error: ")
    return outcome.stderr


def test_a_missing_folder_is_named(workplace: Workplace, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert f"{missing}: the data directory does not exist" in complaint(
        workplace, "load", "--data", str(missing)
    )


def test_a_bad_file_is_named_and_the_traceback_is_there_on_request(
    workplace: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "CustomersData.csv").write_text("")
    for name in ("Online_Sales", "Marketing_Spend", "Discount_Coupon", "Tax_amount"):
        (tmp_path / f"{name}.csv").write_text("x\n")
    assert "CustomersData.csv" in complaint(workplace, "load", "--data", str(tmp_path))
    verbose = workplace.insight("--verbose", "load", "--data", str(tmp_path))
    assert verbose.returncode == 1
    assert "Traceback" in verbose.stderr


def test_stages_before_their_data_say_what_is_missing(workplace: Workplace) -> None:
    assert "insight" in complaint(workplace, "segment")


def test_an_unknown_stream_is_answered_with_the_known_ones(workplace: Workplace) -> None:
    assert "bitcoin-prices" in complaint(workplace, "produce", "gold-prices")


def test_live_news_without_a_key_names_the_variable(workplace: Workplace) -> None:
    assert "INSIGHT_NEWSAPI_KEY" in complaint(workplace, "produce", "news-events", "--live")


def test_a_wrong_query_is_answered_in_one_line(workplace: Workplace) -> None:
    assert "nowhere" in complaint(workplace, "query", "select * from nowhere")


def test_a_wrong_duration_is_no_duration(workplace: Workplace) -> None:
    for duration in ("", "nan", "-3s", "soon"):
        assert workplace.insight("stream", "--for", duration).returncode == 2, duration


def test_a_cell_is_printed_as_it_is(workplace: Workplace) -> None:
    assert r"\[/b] [red]" in workplace.insight("query", r"select '\[/b] [red]'").stdout


def test_reset_is_refused_while_a_command_works(workplace: Workplace) -> None:
    with lease(workplace.home):
        assert "in use by 1 commands" in complaint(workplace, "reset", "--yes")
        keep_running(workplace.home)


def test_env_without_services_says_how_to_start_them(
    new_workplace: Callable[..., Workplace],
) -> None:
    assert "insight services start" in complaint(new_workplace(), "env")
