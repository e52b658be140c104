"""On a real Spark the SQL gives every customer the answer of the plain evaluator.

pyspark is no dependency of the project; CI runs this each night.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_rules import (
    CONTRACTS,
    CUSTOMERS,
    MEMBERS,
    OTHER_SEGMENT,
    TRAITS,
    moments,
    rule_of,
    rules,
    worlds,
)
from rule_worlds import CATALOGUE_WITH_OTHERS, World, results_of

from segmentation.queries.compile import SAMPLES, compile_rule
from segmentation.queries.evaluator import Result
from segmentation.queries.plan import make_plan
from segmentation.queries.query import Output
from segmentation.queries.syntax import Dialect
from segmentation.rules.catalogue import Catalogue, Field, Stream
from segmentation.rules.spec import Aggregate, Rule
from segmentation.rules.yaml_form import read_rule

# The workflow installs the same.
PYSPARK = "4.3.0"
pyspark = pytest.importorskip(
    "pyspark", reason=f"pyspark is not installed: pip install pyspark=={PYSPARK}"
)
# One worker, one Java.
pytestmark = pytest.mark.xdist_group("spark")

EXAMPLE = Path(__file__).parents[2] / "segmentation/rules/examples/big_recent_spenders.yaml"
EVERYBODY = ["banking", "ecommerce", "retail"]
START = datetime(2019, 12, 20, tzinfo=UTC)
AS_OF = START + timedelta(days=20)
TICK = timedelta(microseconds=1)
LATIN, CYRILLIC, SMILE = "é", "Ж", "\N{GRINNING FACE}"
HOSTILE = ("'; drop table x; --", "%(p0)s", ":p0", "?", '"', "\\", "\\'", "`", "{}", "\n", "\r\n",
           LATIN, CYRILLIC, SMILE)  # fmt: skip

# Streams of our own: fields of each type, that may be missing, and numbers as they come.
VISITS = Stream(
    "visits", "retail", "visits_raw", "visit_id", "seen_at",
    {
        "page": Field("page", "text"),
        "pages": Field("pages", "number"),
        "weight": Field("weight", "number"),
        "price": Field("price", "number", decimals=2),
        "is_new": Field("is_new", "boolean"),
        "left_at": Field("left_at", "timestamp"),
        "seen_at": Field("seen_at", "timestamp"),
    },
)  # fmt: skip
CATALOGUE = Catalogue(
    {**CATALOGUE_WITH_OTHERS.streams, "visits": VISITS},
    CATALOGUE_WITH_OTHERS.traits,
    CATALOGUE_WITH_OTHERS.segments,
)
# What Spark's JDBC source makes of the types of Postgres.
_TYPES = {
    "text": "string",
    "numeric": "decimal(38, 18)",
    "integer": "int",
    "bigint": "bigint",
    "smallint": "smallint",
    "boolean": "boolean",
    "timestamptz": "timestamp",
}
_COORDINATES = {"_partition_id": "int", "_offset": "bigint", "_load_id": "bigint"}
_COLUMNS: dict[str, dict[str, str]] = {
    **{
        f"streaming.{each.table}": {
            **{column.name: _TYPES[column.physical_type] for column in each.columns},
            **_COORDINATES,
        }
        for each in CONTRACTS
        if each.stream in CATALOGUE.streams
    },
    "streaming.visits_raw": {
        "visit_id": "string", "customer_id": "string", "seen_at": "timestamp",
        "left_at": "timestamp", "page": "string", "pages": "int", "weight": "decimal(38, 18)",
        "price": "decimal(38, 18)", "is_new": "boolean", **_COORDINATES,
    },
    "marts.dim_customer": {
        "customer_id": "string", "gender": "string", "location": "string",
        "customer_tenure_months": "int", "customer_segment": "string",
        "customer_tenure_years": "decimal(6, 1)",
    },
    "segmentation.current_members": {"segment": "string", "customer_id": "string"},
}  # fmt: skip


class Spark:
    """A Spark with all tables that a rule can read, in files that each test writes anew."""

    def __init__(self, session: Any, folder: Path):
        self.session = session
        self._folder = folder
        for name, columns in _COLUMNS.items():
            self.lay_out(name, columns)
        unknown = {"customer_id": "-1", "gender": "Unknown", "location": "Unknown"}
        known = [{"customer_id": name, **traits} for name, traits in TRAITS.items()]
        self.write("marts.dim_customer", [unknown, *known])
        self.write(
            "segmentation.current_members",
            [{"segment": OTHER_SEGMENT, "customer_id": name} for name in MEMBERS],
        )

    def lay_out(self, table: str, columns: Mapping[str, str]) -> None:
        (self._folder / table).mkdir(exist_ok=True)
        self.write(table, [], refresh=False)
        self.session.sql(f"create database if not exists {table.partition('.')[0]}")
        self.session.sql(f"drop table if exists {table}")
        listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
        self.session.sql(
            f"create table {table} ({listed}) using json location '{self._folder / table}'"
        )

    def write(self, table: str, rows: Sequence[Mapping[str, Any]], *, refresh: bool = True) -> None:
        lines = [json.dumps(row, default=_as_text) + "\n" for row in rows]
        (self._folder / table / "rows.json").write_text("".join(lines))
        if refresh:
            self.session.catalog.refreshTable(table)

    def fill(self, world: World) -> None:
        """Replace all events by those of a world."""
        for name, stream in CATALOGUE.streams.items():
            self.write(f"{stream.schema}.{stream.table}", world.get(name, ()))

    def asked(
        self,
        rule: Rule,
        as_of: datetime,
        output: Output = Output.evaluated,
        customers: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of a rule's query."""
        query = compile_rule(
            rule,
            CATALOGUE,
            dialect=Dialect.spark,
            output=output,
            restricted=customers is not None,
        )
        found = self.session.sql(query.sql, args=query.parameters(as_of, customers))
        return [row.asDict() for row in found.collect()]


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    folder = tmp_path_factory.mktemp("spark")
    session = (
        pyspark.sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .getOrCreate()
    )
    try:
        yield Spark(session, folder)
    finally:
        session.stop()


@given(rules, worlds, moments)
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_customer_gets_the_same_answer(
    spark: Spark, rule: Rule, world: World, as_of: datetime
) -> None:
    _check(spark, rule, world, as_of)


def _check(spark: Spark, rule: Rule, world: World, as_of: datetime) -> dict[str, Result]:
    """Fill, ask, compare members, leaves and numbers; returns what is expected."""
    spark.fill(world)
    expected = results_of(rule, world, as_of, CATALOGUE)
    found = spark.asked(rule, as_of)
    rows = {row["customer_id"]: row for row in found}
    assert len(rows) == len(found)
    if make_plan(rule, CATALOGUE).only_with_events:
        assert rows.keys() <= expected.keys()
    else:
        assert rows.keys() == expected.keys()
    assert {name for name, row in rows.items() if row["matches"]} == _members(expected)
    for name, row in rows.items():
        assert row["leaves"] % 2**64 == expected[name].mask, name
        for index, each in enumerate(expected[name].leaves):
            if isinstance(each.leaf, Aggregate):
                assert _same(row[f"value_{index}"], each.found, each.leaf.function), each
    return expected


def _members(results: Mapping[str, Result]) -> set[str]:
    return {name for name, each in results.items() if each.matches}


def _same(value: Any, found: Any, function: str) -> bool:
    if isinstance(value, datetime):
        # Of the zone of this process, as pyspark collects times.
        return bool(value.astimezone(UTC) == found)
    if function == "avg" and found is not None:
        return bool(value == pytest.approx(float(found), rel=1e-14))
    return bool(value == found)


def _agree(spark: Spark, leaves: Sequence[Mapping[str, Any]], world: World) -> None:
    """All leaves in one query; each is to hold for somebody, and for somebody not."""
    rule = rule_of({"kind": "any", "conditions": list(leaves)}, population=EVERYBODY)
    expected = _check(spark, rule, world, AS_OF)
    for index in range(len(make_plan(rule, CATALOGUE).leaves)):
        holds = {each.leaves[index].holds for each in expected.values()}
        assert holds == {True, False}, next(iter(expected.values())).leaves[index].leaf


def _event(number: int, customer: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "seen_at": at,
        "_partition_id": 1,
        "_offset": number,
        "_load_id": number // 3,
        "visit_id": f"v{number}",
        **more,
    }


def _visit(function: str, op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "aggregate", "stream": "visits", "function": function, "op": op,
            "value": value, "window": "lifetime", **more}  # fmt: skip


def _visits_where(field: str, op: str, *value: Any) -> dict[str, Any]:
    where = {"field": field, "op": op, **({"value": value[0]} if value else {})}
    return _visit("count", "gte", 1, where=[where])


_LEFT = START + timedelta(hours=1) + TICK
_WORLD: World = {
    "visits": [
        _event(0, "C1", START, page="a%b_c", pages=3, weight=Decimal("1.000000000000000001"),
               price=Decimal("2.005"), is_new=True, left_at=_LEFT),
        _event(1, "C1", START + timedelta(days=5), page="Start", pages=4, weight=Decimal("0.5"),
               price=Decimal("0.015"), is_new=False, left_at=_LEFT + TICK),
        _event(2, "C2", START + timedelta(days=11), page="", pages=0, weight=Decimal("-1.5"),
               price=Decimal("-2.005"), is_new=False, left_at=START),
        _event(3, "C3", START + timedelta(days=12), page=None, pages=None, weight=None,
               price=None, is_new=None, left_at=None),
        _event(4, "W1", START - timedelta(days=60), page=None, pages=12, weight=Decimal(7),
               price=Decimal("123456789.994999"), is_new=True, left_at=None),
        # Again, later, of somebody else and other than before: it does not count.
        _event(5, "C3", AS_OF - timedelta(hours=1), visit_id="v0", page="a%b_c", pages=99,
               price=Decimal(99)),
    ]
}  # fmt: skip


def test_the_standing_example(spark: Spark) -> None:
    rule = read_rule(EXAMPLE).rule
    as_of = datetime(2020, 1, 1, tzinfo=UTC)
    sales = [
        {
            "transaction_id": f"{customer}-{n}",
            "customer_id": customer,
            "product_id": "P1",
            "store_id": "S1",
            "amount": amount,
            "timestamp": as_of - timedelta(days=n + 1),
            "_partition_id": 1,
            "_offset": place * 10 + n,
            "_load_id": 1,
        }
        for place, (customer, count, amount) in enumerate(
            [("C1", 6, Decimal("166.67")), ("C2", 6, Decimal("166.66")), ("C3", 5, Decimal(999))]
        )
        for n in range(count)
    ]
    expected = _check(spark, rule, {"transactions": sales}, as_of)
    assert _members(expected) == {"C1"}
    assert {row["customer_id"] for row in spark.asked(rule, as_of, Output.members)} == {"C1"}


@pytest.mark.parametrize("is_ansi", [True, False], ids=["ansi", "not ansi"])
def test_filters_of_every_type(spark: Spark, is_ansi: bool) -> None:
    spark.session.conf.set("spark.sql.ansi.enabled", str(is_ansi).lower())
    try:
        _agree(spark, _FILTERS, _WORLD)
    finally:
        spark.session.conf.set("spark.sql.ansi.enabled", "true")


_FILTERS = [
    _visits_where("page", "eq", "Start"),
    _visits_where("page", "ne", "Start"),
    _visits_where("page", "in", ["start", "Start", "?"]),
    _visits_where("page", "not_in", ["", "Start"]),
    _visits_where("page", "contains", "%b_"),
    _visits_where("page", "contains", ""),
    _visits_where("page", "starts_with", "a%"),
    _visits_where("page", "starts_with", ""),
    _visits_where("page", "is_set"),
    _visits_where("page", "is_not_set"),
    _visits_where("pages", "eq", 3),
    _visits_where("pages", "gt", 3.5),
    _visits_where("pages", "in", [3, 4.000001, 100000, 12]),
    _visits_where("pages", "not_in", [0, 3, 12.5]),
    _visits_where("pages", "between", [3.5, 12]),
    _visits_where("weight", "gt", 1),
    _visits_where("weight", "in", [0.5, 7, 1]),
    _visits_where("weight", "not_in", [0.5, 7, -1.5]),
    _visits_where("weight", "lt", 0.000001),
    # Compared as rounded to cents, with what no cents are: 2.01 is above 2.005.
    _visits_where("price", "gt", 2.005),
    _visits_where("price", "eq", 2.01),
    _visits_where("price", "lte", -2.009999),
    _visits_where("price", "in", [-2.01, 5]),
    _visits_where("price", "not_in", [2.005, 2.01, 0.02]),
    _visits_where("price", "between", [2.005001, 123456789.99]),
    _visits_where("price", "is_not_set"),
    _visits_where("is_new", "eq", True),
    _visits_where("is_new", "ne", True),
    _visits_where("is_new", "in", [False]),
    _visits_where("left_at", "lt", _LEFT.isoformat()),
    _visits_where("left_at", "lte", _LEFT.isoformat()),
    _visits_where("left_at", "gt", _LEFT.isoformat()),
    _visits_where("left_at", "eq", "2019-12-20T02:00:00.000001+01:00"),
    _visits_where("left_at", "in", [_LEFT.isoformat(), "2019-01-01"]),
    _visits_where("left_at", "not_in", ["2019-12-20"]),
    _visits_where("left_at", "between", ["2019-12-20", _LEFT.isoformat()]),
    _visits_where("left_at", "is_not_set"),
]


def test_aggregates_of_every_type(spark: Spark) -> None:
    most = 123456789.99
    ordered = ("lt", "lte", "eq", "ne", "gte", "gt")
    _agree(
        spark,
        [
            *(_visit("count", op, 1) for op in ordered[1:-1]),
            _visit("count", "gt", 1),
            _visit("count", "lt", 0.5),
            _visit("distinct", "eq", 2, field="page"),
            _visit("distinct", "eq", 0, field="page"),
            _visit("distinct", "eq", 1, field="price", where=[{"field": "price", "op": "is_set"}]),
            _visit("distinct", "gt", 1.5, field="is_new"),
            _visit("distinct", "eq", 2, field="left_at"),
            *(_visit("sum", op, 2.03, field="price") for op in ordered),
            _visit("sum", "gt", 2.029999, field="price"),
            _visit("sum", "eq", 0, field="price"),
            _visit("sum", "gt", 7, field="pages"),
            _visit("sum", "gt", 1.5, field="weight"),
            *(_visit("avg", op, 1.015, field="price") for op in ordered[1:]),
            _visit("avg", "lt", 1.015001, field="price"),
            _visit("avg", "gt", 1.014999, field="price"),
            _visit("avg", "eq", most, field="price"),
            _visit("avg", "gt", 0.75, field="weight"),
            _visit("avg", "eq", 3.5, field="pages"),
            *(_visit("min", op, 0.02, field="price") for op in ordered[1:-1]),
            _visit("min", "lt", 0.020001, field="price"),
            _visit("max", "gte", most, field="price"),
            _visit("max", "gt", 1, field="weight"),
            _visit("max", "ne", 4, field="pages"),
            _visit("min", "eq", _LEFT.isoformat(), field="left_at"),
            _visit("max", "gt", _LEFT.isoformat(), field="left_at"),
            _visit("max", "lt", "2019-12-20T00:00:00.000001Z", field="left_at"),
        ],
        _WORLD,
    )


def test_averages_are_compared_without_rounding(spark: Spark) -> None:
    prices = ("0.01", "0.01", "0.02")
    visits = [
        _event(n, "C1", START, price=Decimal(each), weight=Decimal(each) * Decimal("1e-15"))
        for n, each in enumerate(prices)
    ]
    _agree(
        spark,
        [
            _visit("avg", "gt", 0.013333, field="price"),
            _visit("avg", "lt", 0.013334, field="price"),
            _visit("avg", "gt", 0, field="weight"),
            _visit("avg", "lt", 0.000001, field="weight"),
        ],
        {"visits": visits},
    )


def test_windows_hold_their_start_and_not_their_end(spark: Spark) -> None:
    ends = {
        "C1": (START, [0, 1]),
        "C2": (START + timedelta(days=9), [0, -1]),
        "C3": (AS_OF, [0, -1]),
        "W1": (datetime(2020, 1, 1, tzinfo=UTC), [0, -1]),
        "A1": (datetime(2019, 10, 1, tzinfo=UTC), [0, -1]),
    }
    visits = [
        _event(10 * place + n, name, at + ticks * TICK)
        for place, (name, (at, several)) in enumerate(ends.items())
        for n, ticks in enumerate(several)
    ]
    windows = ("last 20d", "last 480h", "from 20d to 11d ago", "from 11d to 8d ago", "mtd", "qtd",
               "ytd", "lifetime", "between 2019-12-20 and 2019-12-29",
               "between 2019-12-29 and 2020-02-01", "last 8d",
               "between 2019-12-20T01:00:00.000001+01:00 and 2019-12-29T00:00:00Z")  # fmt: skip
    for count in (0, 1, 2):
        leaves = [_visit("count", "eq", count, window=each) for each in windows]
        rule = rule_of({"kind": "any", "conditions": leaves}, population=EVERYBODY)
        expected = _check(spark, rule, {"visits": visits}, AS_OF)
        assert _members(expected)


def test_times_without_zone_are_utc_in_a_session_of_utc(spark: Spark) -> None:
    table = "streaming.visits_raw"
    columns = _COLUMNS[table]
    bare = {name: "timestamp_ntz" if kind == "timestamp" else kind
            for name, kind in columns.items()}  # fmt: skip
    visits = [
        {**row, "seen_at": row["seen_at"].replace(tzinfo=None).isoformat()}
        for row in _WORLD["visits"]
    ]
    rule = rule_of(_visit("count", "gte", 1, window="between 2019-12-20 and 2020-01-01"))
    spark.lay_out(table, bare)
    try:
        spark.write(table, visits)
        found = {row["customer_id"] for row in spark.asked(rule, AS_OF, Output.members)}
    finally:
        spark.lay_out(table, columns)
    assert found == {"C1", "C2"}


def test_sequences(spark: Spark) -> None:
    hour = timedelta(hours=1)

    def step(page: str) -> dict[str, Any]:
        return {"stream": "visits", "where": [{"field": "page", "op": "eq", "value": page}]}

    ways = {
        "C1": "a.b", "C2": "ba.", "C3": "aXb", "A1": "a" + 48 * "." + "b", "W1": "Xa.b.aXXb",
        "C4": "abab",
    }  # fmt: skip
    visits = [
        _event(100 * place + n, name, START + n * hour, page=page, weight=1 if n else None)
        for place, (name, pages) in enumerate(ways.items())
        for n, page in enumerate(pages)
        if page != "."
    ]
    # Both at one moment: neither is after the other.
    visits += [_event(900 + n, "C5", START, page=page) for n, page in enumerate("ab")]
    base = {"kind": "sequence", "steps": [step("a"), step("b")], "window": "lifetime"}
    sold = {
        "transaction_id": "s1", "customer_id": "C2", "product_id": "P1", "store_id": "S1",
        "amount": 1, "timestamp": START + 2 * hour, "_partition_id": 2, "_offset": 1,
        "_load_id": 1,
    }  # fmt: skip
    unset = [{"field": "weight", "op": "gt", "value": 0}]
    _agree(
        spark,
        [
            base,
            {**base, "within": "1h"},
            {**base, "within": "2d"},
            {**base, "within": "7200s"},
            {**base, "without": step("X")},
            {**base, "without": step("X"), "within": "2h"},
            {**base, "steps": [step("a"), step("b"), step("a"), step("b")]},
            {**base, "window": "between 2019-12-20T00:00:01 and 2019-12-21"},
            {**base, "steps": [step("a"), {"stream": "transactions"}]},
            {**base, "steps": [{"stream": "visits", "where": unset}, step("b")]},
        ],
        {"visits": visits, "transactions": [sold]},
    )


def test_traits_members_lists_and_buckets(spark: Spark) -> None:
    everybody = [_event(n, f"K{n}", START) for n in range(200)]
    _agree(
        spark,
        [
            {"kind": "trait", "field": "location", "op": "eq", "value": "Chicago"},
            {"kind": "trait", "field": "location", "op": "ne", "value": "Chicago"},
            {"kind": "trait", "field": "location", "op": "contains", "value": "icag"},
            {"kind": "trait", "field": "location", "op": "not_in", "value": ["Chicago", "x"]},
            {"kind": "trait", "field": "location", "op": "is_set"},
            {"kind": "trait", "field": "location", "op": "is_not_set"},
            {"kind": "trait", "field": "customer_tenure_months", "op": "lt", "value": 11.5},
            {"kind": "trait", "field": "customer_tenure_months", "op": "in", "value": [12, 0.5]},
            {"kind": "member", "segment": OTHER_SEGMENT},
            {"kind": "list", "customers": ["C1", "K7", "nobody"]},
            _visit("count", "eq", 0),
            _visit("count", "lt", 1),
            {"kind": "not", "condition": _visit("count", "gte", 1)},
            *(
                {"kind": "bucket", "salt": salt, "percent": percent}
                for salt in ("a", f"b%{LATIN}{SMILE}\\'")
                for percent in (2.5, 33.333333, 97)
            ),
        ],
        {"visits": everybody},
    )


@pytest.mark.parametrize("group", [
    {"kind": "not", "condition": _visits_where("price", "gt", 0)},
    {"kind": "not", "condition": _visit("min", "ne", 5, field="price")},
    {"kind": "not", "condition": {"kind": "trait", "field": "location", "op": "ne",
                                  "value": "Chicago"}},
    {"kind": "n_of", "at_least": 1, "at_most": 2, "conditions": [
        _visit("count", "gte", 1), _visits_where("is_new", "eq", True),
        {"kind": "trait", "field": "location", "op": "is_set"},
        {"kind": "all", "conditions": [_visit("sum", "gte", 0, field="price"),
                                       {"kind": "member", "segment": OTHER_SEGMENT}]}]},
])  # fmt: skip
def test_groups_know_true_and_false_only(spark: Spark, group: dict[str, Any]) -> None:
    expected = _check(spark, rule_of(group, population=EVERYBODY), _WORLD, AS_OF)
    assert 0 < len(_members(expected)) < len(expected)


def test_hostile_texts_are_values_and_nothing_else(spark: Spark) -> None:
    texts = [f"a{each}b" for each in HOSTILE]
    visits = [_event(n, text, START, page=text) for n, text in enumerate(texts)]
    for parts in (texts[:7], texts[7:]):
        leaves = [
            leaf
            for text in parts
            for leaf in (
                _visits_where("page", "eq", text),
                _visits_where("page", "contains", text[1:-1]),
                _visits_where("page", "starts_with", text[:-1]),
                _visits_where("page", "in", [text, "x"]),
                {"kind": "list", "customers": [text]},
                {"kind": "bucket", "salt": text, "percent": 50},
            )
        ]
        _agree(spark, leaves, {"visits": visits})


def test_members_preview_and_restricted_queries_agree(spark: Spark) -> None:
    condition = {"kind": "any", "conditions": [
        _visit("count", "gte", 1), {"kind": "bucket", "salt": "a", "percent": 40}]}  # fmt: skip
    rule = rule_of(condition, population=EVERYBODY)
    for world in (_WORLD, {}, {"visits": [_event(n, f"K{n}", START) for n in range(20)]}):
        expected = _check(spark, rule, world, AS_OF)
        matching = _members(expected)
        found = [row["customer_id"] for row in spark.asked(rule, AS_OF, Output.members)]
        assert sorted(found) == sorted(matching)
        (preview,) = spark.asked(rule, AS_OF, Output.preview)
        assert preview["matched"] == len(matching)
        assert set(preview["samples"]) <= matching
        assert len(preview["samples"]) == min(SAMPLES, len(matching))
        for index in range(2):
            assert preview[f"leaf_{index}"] == sum(
                each.leaves[index].holds for each in expected.values()
            )
        for some in ([*CUSTOMERS[::2], "nobody", "W1"], []):
            rows = spark.asked(rule, AS_OF, Output.members, some)
            assert {row["customer_id"] for row in rows} == matching & set(some)


def test_a_rule_of_64_leaves_and_a_list_of_10000_are_answered(spark: Spark) -> None:
    many = [_visit("count", "eq", 1, window=f"last {n + 1}d") for n in range(63)]
    listed = {"kind": "list", "customers": [f"X{n}" for n in range(9_999)] + ["C1"]}
    rule = rule_of({"kind": "all", "conditions": [*many, listed]})
    world = {"visits": [_event(0, "C1", AS_OF - timedelta(hours=1))]}
    assert _members(_check(spark, rule, world, AS_OF)) == {"C1"}
