"""What dbt says of the versions of a model, as docs/versioning_a_model.md tells it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from insight.database import DatabaseEndpoint, connect

RunDbtIn = Callable[[Path, DatabaseEndpoint, str], tuple[bool, str]]

_MODELS = Path("models/marts/market/_market__models.yml")
_NEWS_COLUMN = "      - name: flagged_article_count\n"
_PRICES_COLUMN = "      - name: range_share\n"


@pytest.fixture(scope="module")
def changed_project(
    copy_project: Callable[[], Path], built: DatabaseEndpoint, built_project: Path
) -> Path:
    """A copy that may be changed, with the manifest of the shared build as the state before."""
    folder = copy_project()
    (folder / "state").mkdir()
    shutil.copy(built_project / "target" / "manifest.json", folder / "state")
    shutil.copytree(built_project / "target", folder / "target")
    return folder


def _without(text: str, column: str) -> str:
    """The YAML without the block of one column."""
    before, rest = text.split(column, 1)
    return before + rest[rest.index("      - name: ") :]


def test_a_break_of_a_contract_without_a_new_version_is_refused(
    changed_project: Path, built: DatabaseEndpoint, run_dbt: RunDbtIn
) -> None:
    file = changed_project / _MODELS
    original = file.read_text()
    compare = "dbt ls --select state:modified --state state --resource-type model"
    try:
        file.write_text(_without(original, _PRICES_COLUMN))
        success, output = run_dbt(changed_project, built, compare)
        assert not success
        assert "breaking change to an enforced contract" in output
        assert "range_share" in output

        file.write_text(_without(original, _NEWS_COLUMN))
        success, output = run_dbt(changed_project, built, compare)
        assert success, output
        assert "Breaking change to contracted, unversioned model fct_news_daily" in output
    finally:
        file.write_text(original)


def test_only_who_pins_the_old_version_is_warned_until_its_date_and_everyone_after(
    changed_project: Path, built: DatabaseEndpoint, run_dbt: RunDbtIn
) -> None:
    file = changed_project / _MODELS
    pinned = changed_project / "models" / "intermediate" / "ecommerce" / "int_pinned.sql"
    original = file.read_text()
    try:
        pinned.write_text("select * from {{ ref('fct_bitcoin_prices', v=1) }}")
        success, output = run_dbt(changed_project, built, "dbt parse")
        assert success, output
        assert "slated for deprecation on '2027-12-31" in " ".join(output.split())
        pinned.unlink()
        file.write_text(original.replace("date: 2027-12-31", "date: 2025-12-31"))
        success, output = run_dbt(changed_project, built, "dbt parse")
        assert success, output
        assert "fct_bitcoin_prices.v1 has passed its deprecation date" in output
    finally:
        pinned.unlink(missing_ok=True)
        file.write_text(original)


def test_the_plain_name_is_the_latest_version(built: DatabaseEndpoint) -> None:
    with connect(built) as connection:
        renamed = connection.execute(
            """select count(*), bool_and(old.high_volatility_count = latest.large_change_count)
               from marts.fct_bitcoin_prices_v1 as old
               join marts.fct_bitcoin_prices as latest
                   using (source, coin, currency, hour_started_at)"""
        ).fetchone()
    assert renamed is not None
    assert renamed[0] != 0
    assert renamed[1] is True
