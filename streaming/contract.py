"""Contracts: what a stream's messages hold, and the names and promises that follow from it.

A contract is an Open Data Contract Standard 3.2 file in `streaming/contracts/`. Table, topic,
validator, dbt source entry and poison fixtures are all derived from it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import yaml
from open_data_contract_standard.model import (
    CustomProperty,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    ServiceLevelAgreementProperty,
)
from pydantic import ValidationError

from insight.errors import InputError
from streaming.field_options import option_complaint
from streaming.model import Column, Contract

__all__ = [
    "CONTRACTS_DIR",
    "Column",
    "Contract",
    "document_text",
    "load_contracts",
    "read_contract",
    "read_contract_text",
]

CONTRACTS_DIR = Path(__file__).parent / "contracts"

# The first physical type of a logical type is the default.
_PHYSICAL_TYPES = {
    "string": ("text",),
    "integer": ("bigint", "integer", "smallint"),
    "number": ("numeric",),
    "boolean": ("boolean",),
    "timestamp": ("timestamptz",),
}
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,50}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
# The loader adds the first one, and every table of Postgres has the others.
_TAKEN_COLUMNS = frozenset(
    ("ingestion_timestamp", "tableoid", "xmin", "xmax", "cmin", "cmax", "ctid")
)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def load_contracts(directory: Path = CONTRACTS_DIR) -> list[Contract]:
    """All contracts of a folder, in the order of their file names.

    Raises InputError with file and field when one of them cannot be used, or when two claim the
    same stream, table or topic.
    """
    contracts = [read_contract(file) for file in sorted(directory.glob("*.odcs.yaml"))]
    for attribute in ("stream", "table", "topic"):
        _refuse_duplicates(contracts, attribute)
    return contracts


def read_contract(file: Path) -> Contract:
    """One contract file. Raises InputError with file and field."""
    return read_contract_text(document_text(file), file)


def document_text(file: Path) -> str:
    """The text of a contract file. Raises InputError when it is no readable text."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=str(file)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"is not readable YAML ({_one_line(error)})", where=str(file)) from error


def read_contract_text(text: str, where: Path) -> Contract:
    """One contract from its text; `where` is named in complaints. Raises InputError."""
    return _Reader(where, _parse(text, where)).contract()


def _parse(text: str, where: Path) -> OpenDataContractStandard:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"is not readable YAML ({_one_line(error)})", where=str(where)) from error
    if not isinstance(content, dict):
        raise InputError("is not a data contract: expected a mapping", where=str(where))
    try:
        return OpenDataContractStandard.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], where=f"{where}: {field}") from error


def _refuse_duplicates(contracts: Sequence[Contract], attribute: str) -> None:
    seen: dict[str, Path] = {}
    for contract in contracts:
        value = getattr(contract, attribute)
        if value in seen:
            other = seen[value].name
            raise InputError(f"{attribute} {value!r} is taken by {other}", where=str(contract.file))
        seen[value] = contract.file


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class _Reader:
    """Turns one parsed document into a Contract; every complaint names the file and the field."""

    def __init__(self, file: Path, document: OpenDataContractStandard):
        self._file = file
        self._document = document

    def contract(self) -> Contract:
        document = self._document
        if not (document.apiVersion or "").startswith("v3."):
            raise self._error("apiVersion", "expected v3.2.0")
        table = self._table()
        columns = tuple(self._column(each) for each in table.properties or ())
        stream = self._text("name", document.name)
        return Contract(
            stream=stream,
            version=self._version(),
            domain=self._identifier("domain", document.domain),
            description=self._text(
                "description.purpose", getattr(document.description, "purpose", None)
            ),
            table=self._identifier("schema.name", table.name),
            table_description=self._text("schema.description", table.description),
            columns=self._checked(columns),
            key=self._key(columns),
            event_time=self._event_time(columns),
            topic=self._topic(stream),
            partitions=self._whole_number("partitions", default=4),
            freshness_seconds=self._seconds("freshness"),
            retention_seconds=self._seconds("retention"),
            poll_interval_seconds=self._poll_interval(),
            source=self._source(),
            file=self._file,
        )

    def _error(self, field: str, what: str) -> InputError:
        return InputError(what, where=f"{self._file}: {field}")

    def _text(self, field: str, value: str | None) -> str:
        if not value:
            raise self._error(field, "is missing")
        return " ".join(value.split())

    def _identifier(self, field: str, value: str | None) -> str:
        if not value or not _IDENTIFIER.fullmatch(value):
            raise self._error(field, f"{value!r} is not a lower_case identifier")
        return value

    def _version(self) -> str:
        version = self._document.version or ""
        if not re.fullmatch(r"\d+\.\d+\.\d+", version):
            raise self._error("version", f"{version!r} is not major.minor.patch")
        return version

    def _table(self) -> SchemaObject:
        tables = self._document.schema_ or []
        if len(tables) != 1:
            raise self._error("schema", f"expected one table, found {len(tables)}")
        return tables[0]

    def _column(self, column: SchemaProperty) -> Column:
        field = f"schema.properties.{column.name or '?'}"
        name = self._identifier(field, column.name)
        logical = column.logicalType or "string"
        if logical not in _PHYSICAL_TYPES:
            raise self._error(f"{field}.logicalType", f"{logical!r} is not supported")
        physical = column.physicalType or _PHYSICAL_TYPES[logical][0]
        if physical not in _PHYSICAL_TYPES[logical]:
            raise self._error(f"{field}.physicalType", f"{physical!r} cannot hold a {logical}")
        if not column.examples:
            raise self._error(f"{field}.examples", "is missing: test messages are made of it")
        if column.enum and (logical != "string" or column.logicalTypeOptions):
            raise self._error(f"{field}.enum", "is for strings, without logicalTypeOptions")
        return Column(
            name=name,
            logical_type=logical,
            physical_type=physical,
            required=bool(column.required),
            primary_key=bool(column.primaryKey),
            description=self._text(f"{field}.description", column.description),
            enum=tuple(str(each.value) for each in column.enum or ()),
            options=self._options(field, logical, column.logicalTypeOptions or {}),
            example=column.examples[0],
        )

    def _options(
        self, field: str, logical: str, options: Mapping[str, object]
    ) -> Mapping[str, object]:
        for name, value in options.items():
            complaint = option_complaint(logical, name, value)
            if complaint:
                raise self._error(f"{field}.logicalTypeOptions.{name}", complaint)
        if logical != "timestamp":
            return options
        return {name: datetime.fromisoformat(str(value)) for name, value in options.items()}

    def _checked(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        names = [column.name for column in columns]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise self._error("schema.properties", f"{min(repeated)!r} is named twice")
        if taken := _TAKEN_COLUMNS.intersection(names):
            raise self._error("schema.properties", f"{min(taken)!r} is a name that Postgres or "
                              "the loader gives")  # fmt: skip
        return columns

    def _key(self, columns: tuple[Column, ...]) -> str:
        keys = [column for column in columns if column.primary_key]
        if len(keys) != 1 or not keys[0].required or keys[0].logical_type != "string":
            raise self._error(
                "schema.properties", "the primary key must be one required column of strings"
            )
        return keys[0].name

    def _event_time(self, columns: tuple[Column, ...]) -> str:
        name = str(self._custom("eventTime") or "")
        times = {
            each.name for each in columns if each.logical_type == "timestamp" and each.required
        }
        if name not in times:
            raise self._error("eventTime", f"{name!r} is not a required timestamp column")
        return name

    def _custom(self, name: str) -> object:
        properties: Sequence[CustomProperty] = self._document.customProperties or ()
        return next((each.value for each in properties if each.property == name), None)

    def _topic(self, stream: str) -> str:
        topic = str(self._custom("topic") or stream)
        if not _TOPIC.fullmatch(topic):
            raise self._error("customProperties.topic", f"{topic!r} is not a Kafka topic name")
        return topic

    def _source(self) -> str | None:
        source = self._custom("source")
        return None if source is None else self._identifier("customProperties.source", str(source))

    def _whole_number(self, name: str, *, default: int) -> int:
        value = self._custom(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self._error(f"customProperties.{name}", f"{value!r} is not a number above 0")
        return value

    def _poll_interval(self) -> float | None:
        """The promised interval, or the longer one that a daily number of requests allows."""
        if self._sla("frequency") is None:
            return None
        requests_per_day = self._whole_number("requestsPerDay", default=86400)
        return max(float(self._seconds("frequency")), 86400 / requests_per_day)

    def _sla(self, name: str) -> ServiceLevelAgreementProperty | None:
        promises = self._document.slaProperties or ()
        return next((each for each in promises if each.property == name), None)

    def _seconds(self, name: str) -> int:
        promise = self._sla(name)
        field = f"slaProperties.{name}"
        if promise is None or isinstance(promise.value, bool | str | None):
            raise self._error(field, "needs a number as value")
        if promise.unit not in _SECONDS:
            raise self._error(field, f"unit {promise.unit!r} is none of {', '.join(_SECONDS)}")
        return int(promise.value * _SECONDS[promise.unit])
