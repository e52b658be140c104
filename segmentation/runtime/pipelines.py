"""Pipelines: configurations as the runtime runs them, and those that it refuses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationError

from insight.database import Connection
from insight.errors import InputError
from segmentation.queries.compile import compile_rule
from segmentation.queries.plan import Plan, make_plan
from segmentation.queries.query import Dedupe, Output, Query
from segmentation.rules import spec
from segmentation.rules.canonical import spec_sha
from segmentation.rules.catalogue import TRAITS_DOMAIN, Catalogue, Stream
from segmentation.rules.spec import Rule
from segmentation.store.configuration import FORMAT, JobParameters, make_configuration

SEGMENT_SOURCE = "segment:"


@dataclass(frozen=True)
class Stored:
    """A version as its row has it, not yet looked at."""

    segment: str
    version: int
    spec: object
    configuration: Any


@dataclass(frozen=True)
class Pipeline:
    """One version of a segment, ready to run.

    `clock` are the streams that tell its time, `streams` those whose rows can change who is in,
    `noted` those whose arrivals must be noted for it, `reads` the segments that it reads.
    """

    segment: str
    version: int
    rule: Rule
    plan: Plan
    job: JobParameters
    everyone: Query
    some: Query
    clock: tuple[str, ...]
    streams: tuple[str, ...]
    noted: tuple[Stream, ...]
    reads: tuple[str, ...]
    has_traits: bool

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose changes concern it, by the names that they are noted under."""
        return (*self.streams, *(SEGMENT_SOURCE + each for each in self.reads))


@dataclass(frozen=True)
class Refusal:
    """A version that cannot be run, and why."""

    segment: str
    version: int
    reason: str


def read_active(connection: Connection) -> dict[str, Stored]:
    """The active version of each segment, whatever its row holds."""
    return _read(connection, "v.status = 'active'")


def read_running(connection: Connection) -> dict[str, Stored]:
    """The version of each segment whose members are there now."""
    return _read(
        connection,
        """exists (select from segmentation.pipelines as p
                   where p.segment = v.segment and p.version = v.version)""",
    )


def rule_of(stored: Stored) -> Rule:
    """The rule of a version. Raises InputError when its row does not hold one that we know."""
    configuration = stored.configuration
    found = configuration.get("format") if isinstance(configuration, dict) else None
    if found != FORMAT:
        raise InputError(f"its configuration has format {found!r}, this worker knows {FORMAT}")
    try:
        rule = Rule.model_validate(stored.spec)
    except ValidationError as error:
        raise InputError(f"its row holds no rule ({error.errors()[0]['msg']})") from error
    if rule.name != stored.segment or spec_sha(rule) != configuration.get("spec_sha"):
        raise InputError("its configuration was made of another rule")
    return rule


def make_pipeline(stored: Stored, catalogue: Catalogue) -> Pipeline:
    """A version, ready to run. Raises InputError when it does not fit what is known now."""
    rule = rule_of(stored)
    plan = make_plan(rule, catalogue)
    _refuse_other_sources(stored.configuration, rule, catalogue)
    read = spec.streams_of(rule.rule)
    asked = [each for domain in plan.population for each in catalogue.streams_of(domain)]
    domains = {catalogue.streams[each].domain for each in read}
    noted = [each for domain in sorted(domains) for each in catalogue.streams_of(domain)]
    has_traits = any(isinstance(each, spec.Trait) for each in plan.leaves)
    return Pipeline(
        segment=stored.segment,
        version=stored.version,
        rule=rule,
        plan=plan,
        job=_job(stored.configuration),
        everyone=_query(rule, catalogue, restricted=False),
        some=_query(rule, catalogue, restricted=True),
        clock=read or tuple(sorted(catalogue.streams)),
        streams=tuple(sorted({*read, *(each.name for each in asked)})),
        noted=tuple({each.name: each for each in (*asked, *noted)}.values()),
        reads=spec.segments_of(rule.rule),
        has_traits=has_traits or TRAITS_DOMAIN in plan.population,
    )


def in_order(pipelines: Mapping[str, Pipeline]) -> list[Pipeline]:
    """Segments after those that they read. Raises InputError for a circle."""
    graph = {
        each.segment: {name for name in each.reads if name in pipelines}
        for each in pipelines.values()
    }
    try:
        return [pipelines[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise InputError(f"segments refer in a circle: {' -> '.join(error.args[1])}") from error


def readers_of(pipelines: Iterable[Pipeline]) -> frozenset[str]:
    """The segments that another one reads."""
    return frozenset(name for each in pipelines for name in each.reads)


def _query(rule: Rule, catalogue: Catalogue, *, restricted: bool) -> Query:
    return compile_rule(
        rule, catalogue, output=Output.evaluated, dedupe=Dedupe.noted, restricted=restricted
    )


def _job(configuration: Mapping[str, Any]) -> JobParameters:
    try:
        job = JobParameters(**configuration["job"])
    except (KeyError, TypeError) as error:
        raise InputError(f"its job parameters are not known ({error})") from error
    if not all(isinstance(each, int) and each > 0 for each in vars(job).values()):
        raise InputError("its job parameters are no whole numbers above 0")
    return job


def _refuse_other_sources(
    configuration: Mapping[str, Any], rule: Rule, catalogue: Catalogue
) -> None:
    """A stream whose rows moved to another table, say, since the configuration was made."""
    sources = configuration.get("sources")
    if not isinstance(sources, list) or not all(isinstance(each, dict) for each in sources):
        raise InputError("its configuration names no sources")
    kept = {(each.get("kind"), each.get("name")): each for each in sources}
    for each in make_configuration(rule, catalogue)["sources"]:
        stored = kept.get((each["kind"], each.get("name")))
        if stored is not None and stored != each:
            raise InputError(
                f"{each['kind']} {each.get('name', '')} is not what its configuration was made for",
                next_step="Create a new version of the segment",
            )


def _read(connection: Connection, which: str) -> dict[str, Stored]:
    rows = connection.execute(
        f"""select segment, version, spec, configuration
            from segmentation.segment_versions as v where {which}"""  # noqa: S608 (constants)
    )
    return {
        str(segment): Stored(str(segment), int(str(version)), spec, configuration)
        for segment, version, spec, configuration in rows
    }
