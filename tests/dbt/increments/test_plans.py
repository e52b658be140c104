"""An increment reads what its new rows affect, and finds it through indexes."""

from increments.models import incremental_models, names
from increments.plans import carry_out, statements
from increments.warehouse import StreamingWarehouse

from benchmarks.warehouse.history import EVERY, add_events
from insight.database import connect

_HISTORY, _NEW = 20_000, 40

# Rows that all visits of one scan may read, those thrown away included: a scan of history reads
# twenty thousand. A day of a stream has 1,440 events; the new ones, some of them late, touch two.
_BOUND = 5 * _NEW
_DAYS = 3 * 1_440
_BOUNDS = {
    "fct_bitcoin_prices": 400,  # the touched hours, the one before, and the 23 after each
    "fct_news_daily": _DAYS,
    "fct_pos_net_revenue_daily": _DAYS,
    "fct_stream_lateness": _DAYS,
}


def test_an_increment_touches_the_affected_window_only(streams: StreamingWarehouse) -> None:
    models = incremental_models(streams.manifest)
    history = {
        *(f"streaming.{table}" for table in EVERY),
        *(f"{model.schema}.{model.name}" for model in models),
    }
    _land(streams, 0, _HISTORY, load=1)
    streams.run()
    _land(streams, _HISTORY + 1, _HISTORY + _NEW, load=2)
    sent = statements(streams, *names(models))
    assert set(sent) == set(names(models))
    _land(streams, _HISTORY + _NEW + 1, _HISTORY + 2 * _NEW, load=3)
    for model, of_model in sent.items():
        with connect(streams.endpoint) as connection:
            scans = [each for each in carry_out(connection, of_model) if each.relation in history]
        assert any(each.rows for each in scans), model
        wasteful = [each for each in scans if each.rows > _BOUNDS.get(model, _BOUND)]
        assert not wasteful, (model, wasteful)


def _land(streams: StreamingWarehouse, first: int, last: int, load: int) -> None:
    with connect(streams.endpoint, autocommit=True) as connection:
        add_events(connection, first, last, load, dict.fromkeys(EVERY, 1))
        connection.execute("vacuum analyze")
