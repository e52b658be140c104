"""SQL, its parameters, and what a query is made for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlglot import exp

from segmentation.queries.plan import has_start, window_bounds
from segmentation.queries.syntax import Dialect, both, comparison, parameter
from segmentation.rules.windows import Window


class Dedupe(StrEnum):
    """How an event that arrived twice is counted once: the row that landed first counts.

    `searched` looks for an earlier row of each id, and needs no state. `noted` reads the rows that
    `segmentation.runtime.arrivals` has read, but for those that it noted as repeated.
    """

    searched = "searched"
    noted = "noted"


class Output(StrEnum):
    """What a query returns.

    `members`: customer_id and leaves, a bit mask, of each customer in the segment. `evaluated`: of
    each customer that is asked, also matches and value_<leaf>; customers without events are left
    out when they cannot match. `combinations`: leaves, customers and samples of each combination of
    leaves that occurs; samples are any ten of those customers, if they are in the segment.
    """

    members = "members"
    evaluated = "evaluated"
    combinations = "combinations"


@dataclass(frozen=True)
class Query:
    """SQL and what its parameters are at a moment."""

    sql: str
    dialect: Dialect
    constants: Mapping[str, object]
    windows: Mapping[str, tuple[Window, ...]]
    takes_customers: bool

    def parameters(
        self, as_of: datetime, customers: Sequence[str] | None = None
    ) -> dict[str, object]:
        """All parameters by name. `customers` are wanted exactly if the query is restricted."""
        if (customers is not None) is not self.takes_customers:
            raise ValueError("customers are given to a restricted query only, and always to one")
        found = dict(self.constants)
        for name, windows in self.windows.items():
            start, end = window_bounds(windows, as_of)
            found[f"{name}_end"] = end
            if has_start(windows):
                found[f"{name}_start"] = start
        if customers is not None:
            found["customers"] = list(customers)
        if self.dialect is Dialect.spark:
            return {name: _spark_argument(value) for name, value in found.items()}
        return found


def _spark_argument(value: object) -> object:
    """As Spark takes it: to it each decimal has a type of its own, and a list must be of one."""
    if isinstance(value, list):
        return [f"{each:f}" if isinstance(each, Decimal) else each for each in value]
    return value


@dataclass
class Parameters:
    """The parameters of a query that is being made, each value once."""

    dialect: Dialect
    takes_customers: bool
    _constants: dict[str, object] = field(default_factory=dict)
    _windows: dict[str, tuple[Window, ...]] = field(default_factory=dict)

    def constant(self, value: object) -> str:
        """The name of a parameter with a value that stays."""
        for name, other in self._constants.items():
            # Not by equality: 1 is true, and a parameter has one type.
            if repr(other) == repr(value):
                return name
        name = f"p{len(self._constants)}"
        self._constants[name] = value
        return name

    def in_window(self, moment: exp.Expr, windows: Sequence[Window]) -> exp.Expr:
        """Whether a moment lies in the least span that holds all windows."""
        span = tuple(windows)
        name = next((key for key, each in self._windows.items() if each == span), None)
        if name is None:
            name = f"w{len(self._windows)}"
            self._windows[name] = span
        bounds = [comparison("lt", moment, parameter(f"{name}_end"))]
        if has_start(span):
            bounds.insert(0, comparison("gte", moment.copy(), parameter(f"{name}_start")))
        return both(bounds)

    def query(self, select: exp.Query) -> Query:
        """The query that a finished tree is."""
        return Query(
            select.sql(self.dialect.value, pretty=True),
            self.dialect,
            self._constants,
            self._windows,
            self.takes_customers,
        )
