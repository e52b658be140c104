"""The main job on servers that somebody else runs, given by URL."""

import json
from collections.abc import Callable

import redis
from workplace import Workplace

from insight.database import DatabaseEndpoint, connect
from insight.services import KafkaEndpoint, RedisEndpoint, running_endpoints
from serving.segment_lookup import lookup_key


def test_it_works_on_servers_given_by_url_and_starts_none(
    new_workplace: Callable[..., Workplace],
    real_kafka: KafkaEndpoint,
    database: DatabaseEndpoint,
    redis_endpoint: RedisEndpoint,
) -> None:
    workplace = new_workplace()
    password = database.password.get_secret_value()
    outcome = workplace.insight(
        "run",
        extra={
            "DATABASE_URL": f"postgresql://{database.user}:{password}"
            f"@{database.host}:{database.port}/{database.dbname}",
            "KAFKA_BOOTSTRAP_SERVERS": real_kafka.bootstrap_servers,
            "REDIS_URL": redis_endpoint.url.get_secret_value(),
        },
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert running_endpoints(workplace.home) is None
    with connect(database) as connection:
        rows = connection.execute(
            "select customer_id, segment_name from marts.fct_customer_segments"
        ).fetchall()
    assert len(rows) == 1468
    customer_id, segment = rows[0]
    client = redis.Redis.from_url(redis_endpoint.url.get_secret_value(), decode_responses=True)
    with client:
        lookup = json.loads(client.get(lookup_key(str(customer_id))) or "{}")
        assert (lookup["customer_id"], lookup["segment_name"]) == (customer_id, segment)
