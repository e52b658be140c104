"""The main job from nothing: what it makes, again, and after being killed."""

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

from warehouse_content import content_of
from workplace import Workplace

_KILLS = 10


def test_it_makes_every_mart_and_says_so(finished: tuple[Workplace, str]) -> None:
    _, printed = finished
    for expected in ("load", "stream", "transform", "segment", "publish", "generated data"):
        assert expected in printed
    for segment in ("Champions (VIPs)", "Loyal Customers", "At-Risk (Lapsing)", "Big Spenders"):
        assert segment in printed


def test_the_readme_shows_what_a_run_prints(
    finished: tuple[Workplace, str], project_root: Path
) -> None:
    _, printed = finished
    readme = " ".join((project_root / "README.md").read_text().split())
    without_seconds = re.sub(r" +[0-9.]+ s$", "", printed, flags=re.MULTILINE)
    made, _ = without_seconds.split("Next:")
    for line in made.splitlines():
        assert " ".join(line.split()) in readme


def test_the_committed_seed_is_what_the_default_data_gives(
    finished: tuple[Workplace, str], project_root: Path
) -> None:
    workplace, _ = finished
    committed = project_root / "dbt_pipeline" / "seeds" / "customer_segments.csv"
    assert workplace.seed.read_bytes() == committed.read_bytes()


def test_streams_lost_and_doubled_nothing(finished: tuple[Workplace, str]) -> None:
    workplace, _ = finished
    outcome = workplace.insight("verify")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_running_it_again_gives_the_same_rows(finished: tuple[Workplace, str]) -> None:
    workplace, _ = finished
    before = content_of(workplace.home)
    again = workplace.insight("run")
    assert again.returncode == 0, again.stdout + again.stderr
    assert content_of(workplace.home) == before
    assert "unchanged" in again.stdout
    assert "nothing new" in again.stdout


def test_killed_at_random_moments_it_ends_in_the_state_of_a_clean_run(
    finished: tuple[Workplace, str], new_workplace: Callable[..., Workplace]
) -> None:
    """Each run goes on from where SIGKILL ended the one before, so that every stage is hit."""
    clean, _ = finished
    killed = new_workplace()
    moments = random.Random(20190101)
    for _ in range(_KILLS):
        process = killed.start("run")
        time.sleep(moments.uniform(0.5, 25))
        process.kill()
        process.communicate()
    outcome = killed.insight("run")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert content_of(killed.home) == content_of(clean.home)
    assert killed.seed.read_bytes() == clean.seed.read_bytes()
    assert killed.insight("verify").returncode == 0


def test_a_query_reads_as_table_csv_and_json_and_never_writes(
    finished: tuple[Workplace, str],
) -> None:
    workplace, _ = finished
    count = "select count(*) as lines from marts.fct_sales"
    assert "52924" in workplace.insight("query", count).stdout
    assert workplace.insight("query", "-f", "csv", count).stdout == "lines\n52924\n"
    assert json.loads(workplace.insight("query", "-f", "json", count).stdout) == [{"lines": 52924}]
    for forbidden in (
        "delete from raw.customers",
        "select 1; commit; drop schema marts cascade",
        "create table raw.mine as select 1",
    ):
        outcome = workplace.insight("query", forbidden)
        assert outcome.returncode == 1, forbidden
        assert outcome.stderr.startswith("Error:")
    assert workplace.insight("query", "-f", "csv", count).stdout == "lines\n52924\n"


def test_status_shows_files_streams_and_segments(finished: tuple[Workplace, str]) -> None:
    workplace, _ = finished
    printed = workplace.insight("status").stdout
    for expected in ("online_sales", "bitcoin-prices", "news-events", "Champions (VIPs)"):
        assert expected in printed
