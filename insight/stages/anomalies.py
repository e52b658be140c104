"""The part of stage `segment` that looks for odd minutes in the revenue of the tills."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from insight.database import DatabaseEndpoint, connect
from insight.stages.context import Context

if TYPE_CHECKING:
    from ml_pipeline.anomalies.evaluation import Planted

# The first day of the simulation tells the seed; sales come up to so many hours late.
_SALES_A_DAY, _LATEST = 1500.0, timedelta(hours=7)
_FEWEST_SALES, _SHARE = 50, 0.9


def find(context: Context) -> str:
    """Write ml.revenue_anomalies and its report; a few words on what was found."""
    from ml_pipeline.anomalies.run import find_revenue_anomalies

    context.tell("looking for anomalies")
    database = context.services.database
    report = find_revenue_anomalies(
        database, model_dir=context.settings.model_dir, planted=lambda: planted_in(database)
    )
    if report.products == 0:
        return "no sales of tills to find anomalies in"
    return f"{report.alarms:,} anomalies of revenue{', unchanged' if report.unchanged else ''}"


def planted_in(database: DatabaseEndpoint) -> "tuple[Planted, ...] | None":
    """What the shop's simulator planted in the sales of the warehouse.

    None when they are not those that it makes with its usual seed: by their ids, of its first day.
    """
    from ml_pipeline.anomalies.evaluation import Planted
    from streaming.polling import SEED
    from streaming.simulators.anomalies import planted_anomalies
    from streaming.simulators.arrivals import END, START, microseconds
    from streaming.simulators.shop import sales_between

    with connect(database) as connection:
        row = connection.execute(
            "select max(sold_at) from marts.fct_pos_transactions where sold_at < %s", [END]
        ).fetchone()
        newest = row[0] if row else None
        if not isinstance(newest, datetime):
            return None
        until = min(START + timedelta(days=1), newest - _LATEST)
        ids = sales_between(SEED, _SALES_A_DAY, microseconds(START), microseconds(until)).ids()
        known = connection.execute(
            "select count(*) from marts.fct_pos_transactions where transaction_id = any(%s)", [ids]
        ).fetchone()
    assert known is not None
    if len(ids) < _FEWEST_SALES or int(str(known[0])) < _SHARE * len(ids):
        return None
    return tuple(
        Planted(each.kind, each.first, each.last)
        for each in planted_anomalies(SEED, START, newest.astimezone(UTC))
    )
