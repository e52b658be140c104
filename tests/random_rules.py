"""Random rules and random events for them, close enough together that edges are hit."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from segmentation.rules.catalogue import build_catalogue
from segmentation.rules.spec import Rule
from streaming.contract import load_contracts

CONTRACTS = load_contracts()
CATALOGUE = build_catalogue(CONTRACTS)
# Around the end of a year, so that months, quarters and years begin within reach.
START = datetime(2019, 12, 20, tzinfo=UTC)
STEP = timedelta(hours=6)
STEPS = 80
CUSTOMERS = ("C1", "C2", "C3", "A1", "Ünal 'x' %s")
OTHER_SEGMENT = "others"

moments = st.integers(0, STEPS).map(lambda n: START + n * STEP)
_hours = st.integers(1, 40).map(lambda n: f"{n * 6}h")
_days = st.integers(1, 15).map(lambda n: f"{n}d")
durations = _hours | _days
windows = st.one_of(
    st.builds("last {}".format, durations),
    st.builds("from {} to {} ago".format, durations, durations),
    st.builds(lambda a, b: f"between {a.isoformat()} and {b.isoformat()}", moments, moments),
    st.sampled_from(["mtd", "qtd", "ytd", "lifetime"]),
)
_amounts = st.sampled_from([0.01, 0.5, 1, 2, 2.005, 3, 10, 99.99])
_limits = st.sampled_from([0, 0.01, 0.5, 1, 2, 2.01, 3, 5, 10, 100])
_ops = st.sampled_from(["eq", "ne", "lt", "lte", "gt", "gte"])
_stores = st.sampled_from(["S1", "S2", "x%S1", "s_1"])
_reasons = st.sampled_from(["defective", "wrong_item", "changed_mind"])
_NUMBERS = {
    "transactions": "amount",
    "refunds": "refund_amount",
    "account-transactions": "transaction_amt",
}
_TIMES = {
    "transactions": "timestamp",
    "refunds": "timestamp",
    "account-transactions": "transaction_time",
}


def _filters(stream: str) -> st.SearchStrategy[dict[str, Any]]:
    number = _NUMBERS[stream]
    found = [
        st.fixed_dictionaries({"field": st.just(number), "op": _ops, "value": _limits}),
        st.fixed_dictionaries(
            {
                "field": st.just(number),
                "op": st.sampled_from(["in", "not_in"]),
                "value": st.lists(_limits, min_size=1, max_size=3),
            }
        ),
        st.fixed_dictionaries(
            {
                "field": st.just(number),
                "op": st.just("between"),
                "value": st.lists(_limits, min_size=2, max_size=2),
            }
        ),
        st.fixed_dictionaries(
            {"field": st.just(number), "op": st.sampled_from(["is_set", "is_not_set"])}
        ),
        st.fixed_dictionaries(
            {"field": st.just(_TIMES[stream]), "op": _ops, "value": moments.map(str)}
        ),
    ]
    if stream != "account-transactions":
        found.append(
            st.fixed_dictionaries(
                {
                    "field": st.just("store_id"),
                    "op": st.sampled_from(["eq", "ne", "contains", "starts_with"]),
                    "value": _stores | st.sampled_from(["", "%", "_", "1"]),
                }
            )
        )
    if stream == "refunds":
        found.append(
            st.fixed_dictionaries(
                {
                    "field": st.just("reason"),
                    "op": st.sampled_from(["in", "not_in"]),
                    "value": st.lists(_reasons, min_size=1, max_size=2),
                }
            )
        )
    return st.one_of(found)


def _wheres(stream: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.just([]) | st.lists(_filters(stream), max_size=2)


def _aggregates(stream: str) -> st.SearchStrategy[dict[str, Any]]:
    base: Mapping[str, Any] = {
        "kind": st.just("aggregate"),
        "stream": st.just(stream),
        "where": _wheres(stream),
        "window": windows,
        "op": _ops,
    }
    texts = "store_id" if stream != "account-transactions" else "transaction_id"
    return st.one_of(
        st.fixed_dictionaries({**base, "function": st.just("count"), "value": _limits}),
        st.fixed_dictionaries(
            {
                **base,
                "function": st.sampled_from(["sum", "avg", "min", "max", "distinct"]),
                "field": st.just(_NUMBERS[stream]),
                "value": _limits,
            }
        ),
        st.fixed_dictionaries(
            {
                **base,
                "function": st.just("distinct"),
                "field": st.just(texts),
                "value": _limits,
            }
        ),
        st.fixed_dictionaries(
            {
                **base,
                "function": st.sampled_from(["min", "max"]),
                "field": st.just(_TIMES[stream]),
                "value": moments.map(lambda each: each.isoformat()),
            }
        ),
    )


def _steps() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(["transactions", "refunds"]).flatmap(
        lambda stream: st.fixed_dictionaries({"stream": st.just(stream), "where": _wheres(stream)})
    )


aggregates = st.sampled_from(sorted(_NUMBERS)).flatmap(_aggregates)
sequences = st.fixed_dictionaries(
    {
        "kind": st.just("sequence"),
        "steps": st.lists(_steps(), min_size=2, max_size=3),
        "window": windows,
    },
    optional={"within": durations, "without": _steps()},
)
traits = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("trait"),
            "field": st.just("location"),
            "op": st.sampled_from(["eq", "ne", "contains", "starts_with"]),
            "value": st.sampled_from(["Chicago", "chi", "", "%"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("trait"),
            "field": st.just("customer_tenure_months"),
            "op": _ops,
            "value": st.sampled_from([0, 5, 12, 12.5]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("trait"),
            "field": st.sampled_from(["location", "customer_tenure_months"]),
            "op": st.sampled_from(["is_set", "is_not_set"]),
        }
    ),
)
others = st.one_of(
    st.just({"kind": "member", "segment": OTHER_SEGMENT}),
    st.fixed_dictionaries(
        {
            "kind": st.just("list"),
            "customers": st.lists(st.sampled_from([*CUSTOMERS, "nobody"]), min_size=1),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("bucket"),
            "salt": st.sampled_from(["a", "b%", "é"]),
            "percent": st.sampled_from([0.5, 25, 50, 100]),
        }
    ),
)
leaves = aggregates | aggregates | sequences | traits | others


def _groups(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"kind": st.sampled_from(["all", "any"]), "conditions": several}),
        st.fixed_dictionaries({"kind": st.just("not"), "condition": inner}),
        several.flatmap(_counted),
    )


def _counted(conditions: list[Any]) -> st.SearchStrategy[Any]:
    count = len(conditions)
    return st.integers(0, count).flatmap(
        lambda low: st.fixed_dictionaries(
            {
                "kind": st.just("n_of"),
                "conditions": st.just(conditions),
                "at_least": st.just(low),
                "at_most": st.none() | st.integers(low, count),
            }
        )
    )


conditions = st.recursive(leaves, _groups, max_leaves=6).filter(lambda each: _depth(each) <= 8)


def _depth(condition: Any) -> int:
    below = [*condition.get("conditions", ()), *filter(None, [condition.get("condition")])]
    return 1 + max(map(_depth, below), default=0)


def rule_of(condition: Any, **more: Any) -> Rule:
    """A rule of one condition."""
    return Rule.model_validate({"version": 1, "name": "random", "rule": condition, **more})


rules = st.builds(
    rule_of,
    conditions,
    population=st.sampled_from(
        [None, None, ["retail"], ["banking", "retail"], ["ecommerce"], ["ecommerce", "retail"]]
    ),
)


def rows_of(stream: str) -> st.SearchStrategy[dict[str, Any]]:
    """Rows of a raw table without coordinates; ids repeat, and may contradict themselves."""
    ids = st.integers(0, 12).map(lambda n: f"id{n}")
    amount = _amounts.map(lambda each: Decimal(str(each)))
    common = {"customer_id": st.sampled_from(CUSTOMERS), _TIMES[stream]: moments}
    match stream:
        case "transactions":
            return st.fixed_dictionaries(
                {
                    "transaction_id": ids,
                    "product_id": st.just("P1"),
                    "store_id": _stores,
                    "amount": amount,
                    **common,
                }
            )
        case "refunds":
            return st.fixed_dictionaries(
                {
                    "refund_id": ids,
                    "original_transaction_id": ids,
                    "product_id": st.just("P1"),
                    "store_id": _stores,
                    "refund_amount": amount,
                    "reason": _reasons,
                    **common,
                }
            )
    signed = amount.flatmap(lambda each: st.sampled_from([each, -each]))
    return st.fixed_dictionaries({"transaction_id": ids, "transaction_amt": signed, **common})


def _landed(rows: list[tuple[dict[str, Any], int]]) -> list[dict[str, Any]]:
    """Coordinates as the loader gives them: in a partition, loads and offsets grow together."""
    return [
        {**row, "_partition_id": partition, "_offset": place, "_load_id": place // 3}
        for place, (row, partition) in enumerate(rows)
    ]


def histories(stream: str, most: int = 14) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of one stream as they landed, in partitions of the stream's own."""
    first = sorted(_NUMBERS).index(stream) * 10
    partitions = st.integers(first, first + 1)
    return st.lists(st.tuples(rows_of(stream), partitions), max_size=most).map(_landed)


Worlds = Callable[[], Any]
worlds = st.fixed_dictionaries({stream: histories(stream) for stream in sorted(_NUMBERS)})
TRAITS: Mapping[str, Mapping[str, Any]] = {
    "C1": {"location": "Chicago", "customer_tenure_months": 12},
    "A1": {"location": None, "customer_tenure_months": 5},
    "W1": {"location": "New York", "customer_tenure_months": None},
}
MEMBERS = ("C1", "C2", "W1")
