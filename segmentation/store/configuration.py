"""The configuration of a pipeline, made of a rule: what it reads, reckons and writes, as JSON.

Who looks at it sees the tables and fields that are read without knowing how rules are compiled. The
runtime takes from it the job parameters, and refuses one of another format, of another rule (the
hash) or with other sources than the streams have now; the queries it compiles from the rule itself.
"""

from dataclasses import dataclass
from typing import Any

from segmentation.queries.plan import Branch, Measure, Plan, Tree, make_plan
from segmentation.queries.rows import MEMBERS, SCHEMA
from segmentation.rules import spec
from segmentation.rules.canonical import spec_sha
from segmentation.rules.catalogue import CUSTOMER_DIMENSION, TRAITS_DOMAIN, Catalogue
from segmentation.rules.spec import Rule

FORMAT = 1
TOPIC = "insights.segment-membership"
CACHE_PREFIX = "insight:segments:"

Document = dict[str, Any]


@dataclass(frozen=True)
class JobParameters:
    """How the runtime runs a segment.

    Past `most_customers` that may have changed it asks for all customers at once.
    """

    most_customers: int = 20_000
    statement_seconds: int = 900


def make_configuration(rule: Rule, catalogue: Catalogue) -> Document:
    """The configuration of a rule. Raises InputError that names the first error of meaning."""
    plan = make_plan(rule, catalogue)
    return {
        "format": FORMAT,
        "segment": rule.name,
        "spec_sha": spec_sha(rule),
        "population": list(plan.population),
        "sources": _sources(plan, catalogue),
        "aggregations": [
            _aggregation(scan.stream.name, measure)
            for scan in plan.scans
            for measure in scan.measures
        ],
        "filters": [_leaf(index, plan) for index in range(len(plan.leaves))],
        "logic": _logic(plan.tree),
        "outputs": [
            {"kind": "table", "name": f"{SCHEMA}.{MEMBERS}"},
            {"kind": "kafka", "name": TOPIC, "key": "customer_id"},
            {"kind": "redis", "name": f"{CACHE_PREFIX}<customer_id>"},
        ],
        "job": vars(JobParameters()),
    }


def _sources(plan: Plan, catalogue: Catalogue) -> list[Document]:
    read = {name: catalogue.streams[name] for name in spec.streams_of(plan.rule.rule)}
    asked = {each.name: each for name in plan.population for each in catalogue.streams_of(name)}
    streams: list[Document] = [
        {
            "kind": "stream",
            "name": each.name,
            "table": f"{each.schema}.{each.table}",
            "key": each.key,
            "event_time": each.event_time,
            "customer": each.customer,
            "read_for": "events" if name in read else "customers",
        }
        for name, each in sorted({**asked, **read}.items())
    ]
    has_traits = any(isinstance(each, spec.Trait) for each in plan.leaves)
    if has_traits or TRAITS_DOMAIN in plan.population:
        streams.append({"kind": "traits", "table": ".".join(CUSTOMER_DIMENSION)})
    return [
        *streams,
        *({"kind": "segment", "name": each} for each in spec.segments_of(plan.rule.rule)),
    ]


def _aggregation(stream: str, measure: Measure) -> Document:
    return {
        "stream": stream,
        "function": measure.function,
        "field": measure.field,
        "where": [each.model_dump(mode="json", exclude_none=True) for each in measure.where],
        "window": measure.window.model_dump(mode="json"),
    }


def _leaf(index: int, plan: Plan) -> Document:
    leaf = plan.leaves[index].model_dump(mode="json", exclude_none=True)
    return {"leaf": index, "sha": plan.shas[index], **leaf}


def _logic(tree: Tree) -> object:
    if not isinstance(tree, Branch):
        return tree
    counts = tree.group.model_dump(include={"at_least", "at_most"}, exclude_none=True)
    return {tree.group.kind: [_logic(each) for each in tree.below], **counts}
