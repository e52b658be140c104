"""Bad messages of every kind among good ones, and nothing but bad ones."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from insight.database import connect
from streaming import progress
from streaming.contract import load_contracts
from streaming.loading.bad_limit import BadLimit
from streaming.messages.poison import poison_messages, valid_message

FIVE_MB = 5 * 1024 * 1024

every_stream = pytest.mark.parametrize("stream", [each.stream for each in load_contracts()])


@pytest.fixture
def contract(contracts, stream):
    return next(each for each in contracts if each.stream == stream)


@every_stream
def test_only_the_poison_goes_to_quarantine_and_its_neighbours_keep_their_order(
    kafka, contract, broker, message, load, ask, all_arrived
) -> None:
    poisons = poison_messages(contract)
    values = []
    for number, poison in enumerate(poisons):
        values += [message(contract, number), poison]
    broker.put(contract, values)
    load(kafka, [contract], bad_limit=BadLimit(count=10**9))
    ids = [
        str(each)
        for (each,) in ask(
            f"select {contract.key} from streaming.{contract.table} order by _offset"
        )
    ]
    assert ids == sorted(ids)
    found = ask('select error_code, error_path, value from streaming.quarantine order by "offset"')
    assert found == [(each.code, each.path, each.value) for each in poisons]
    all_arrived(kafka, contract, range(len(poisons)), len(poisons))


@pytest.fixture
def put_big(real_kafka):
    """Put messages of more than a megabyte, which the topic has to be told to take."""

    def put(contract, values: list[bytes]) -> None:
        settings = {"bootstrap.servers": real_kafka.bootstrap_servers}
        # Made with the limit: a broker hears of one that is changed some time after saying so.
        topic = NewTopic(contract.topic, 4, config={"max.message.bytes": str(2 * FIVE_MB)})
        admin = AdminClient(settings)
        for future in admin.create_topics([topic]).values():
            future.result(10)
        producer = Producer({**settings, "message.max.bytes": 2 * FIVE_MB})
        refused = []
        for value in values:
            producer.produce(
                contract.topic,
                value,
                partition=0,
                on_delivery=lambda error, _: refused.append(error) if error else None,
            )
        assert (producer.flush(30), refused) == (0, [])

    return put


@every_stream
def test_value_of_five_megabytes(
    real_kafka, contract, put_big, message, load, ask, all_arrived
) -> None:
    """In quarantine whole where it breaks the contract; a row where only its spaces are many."""
    huge = message(contract, 9, **{contract.event_time: "x" * FIVE_MB})
    spaced = valid_message(contract)[:1] + b" " * FIVE_MB + message(contract, 1)[1:]
    put_big(contract, [message(contract, 0), huge, spaced, message(contract, 2)])
    load(real_kafka, [contract])
    assert ask("select error_code, error_path, value = %s from streaming.quarantine", huge) == [
        ("bad_timestamp", contract.event_time, True)
    ]
    all_arrived(real_kafka, contract, range(3), bad=1)


def test_stream_of_nothing_but_bad_messages_halts_and_can_go_on(
    database,
    kafka,
    prices,
    news,
    broker,
    message,
    load,
    ask,
    books_balance,
    all_arrived,
) -> None:
    contracts = [prices, news]
    broker.put(prices, [b"bad"] * 300)
    broker.put(news, [message(news, number) for number in range(20)])
    limit = BadLimit(count=30)
    report = load(kafka, contracts, bad_limit=limit)
    assert report.streams["bitcoin-prices"].state == progress.HALTED_LIMIT
    assert report.streams["news-events"].rows == 20
    assert ask("select count(*) from streaming.quarantine") == [(30,)]
    books_balance()
    assert load(kafka, contracts, bad_limit=limit).quarantined == 0
    with connect(database) as connection:
        assert progress.resume_stream(connection, "bitcoin-prices") == 1
    load(kafka, contracts, bad_limit=limit)
    assert ask("select count(*) from streaming.quarantine") == [(60,)]
    with connect(database) as connection:
        progress.resume_stream(connection, "bitcoin-prices")
    broker.put(prices, [message(prices, number) for number in range(5)])
    load(kafka, contracts)
    all_arrived(kafka, prices, range(5), bad=300)
