"""Product associations from the marts of both shops into schema ml: the part that writes.

The rules of all shops, and what they were made from, are replaced in one transaction. Before it
nothing has changed; a run that finds what it would start from in ml.product_association_runs
mines nothing.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain

import pandas as pd

from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError
from ml_pipeline.associations.baskets import (
    LARGEST_BASKET,
    Baskets,
    encode_baskets,
    reason_not_to_mine,
)
from ml_pipeline.associations.itemsets import Limits
from ml_pipeline.associations.marts import (
    SHOPS,
    Extent,
    Shop,
    read_extent,
    read_lines,
    read_names,
)
from ml_pipeline.associations.rules import find_rules
from ml_pipeline.associations.sentences import labels_of, sentences
from ml_pipeline.associations.thresholds import Thresholds
from ml_pipeline.results import (
    PRODUCT_ASSOCIATION_RUNS,
    PRODUCT_ASSOCIATIONS,
    create_tables,
    replace_rows,
)

# Whoever changes what is written for the same baskets raises it, so that it is written again.
RULES_VERSION = 1
# Fewer baskets than this make no rule, whatever share of a small shop they are.
LEAST_COUNT = 5

_MEASURES = ("support", "confidence", "lift", "leverage", "conviction")
_DECIMALS = 6


@dataclass(frozen=True)
class ShopReport:
    """What a shop's baskets gave. `skipped_reason` says why there could be no rule."""

    domain: str
    fingerprint: str
    baskets: int
    products: int
    left_out: int
    rules: int
    skipped_reason: str | None = None


@dataclass(frozen=True)
class AssociationReport:
    """What a run found; `unchanged` when it was there already."""

    shops: tuple[ShopReport, ...]
    largest_basket: int
    unchanged: bool = False

    @property
    def rules(self) -> int:
        return sum(shop.rules for shop in self.shops)

    def summary(self) -> str:
        """For the line of a stage: "74 associations, unchanged"."""
        found = f"{self.rules:,}" if self.rules else "no"
        left_out = sum(shop.left_out for shop in self.shops)
        too_large = f" ({left_out:,} baskets of over {self.largest_basket:,} products left out)"
        unchanged = ", unchanged" * self.unchanged
        return f"{found} associations{unchanged}" + too_large * bool(left_out)


def associate_products(
    database: DatabaseEndpoint,
    *,
    thresholds: Thresholds,
    limits: Limits | None = None,
    largest_basket: int = LARGEST_BASKET,
    before: date | None = None,
) -> AssociationReport:
    """Find what is bought together in each shop and replace ml.product_associations.

    `before` leaves out orders of the online shop from that day on. A shop whose baskets can hold
    no rule has none. Raises StageError without the marts, InputError when a search exceeds its
    limits; then no table has changed.
    """
    limits = limits or Limits()
    # A warehouse loaded by an earlier version has not got them.
    create_tables(database)
    with connect(database) as connection:
        # Digest and lines of one moment.
        connection.execute("set transaction isolation level repeatable read, read only")
        extents = [read_extent(connection, shop, before) for shop in SHOPS]
        prints = [_fingerprint(each, thresholds, limits, largest_basket) for each in extents]
        earlier = _earlier(connection)
        if [each.fingerprint for each in earlier] == prints:
            return AssociationReport(tuple(earlier), largest_basket, unchanged=True)
        lines = [read_lines(connection, shop, before) for shop in SHOPS]
        names = [read_names(connection, shop) for shop in SHOPS]
    baskets = [_encode(*each, largest_basket) for each in zip(SHOPS, lines, strict=True)]
    reasons = [reason_not_to_mine(each) for each in baskets]
    rules = [
        None if reason else _mine(shop, each, thresholds, limits)
        for shop, each, reason in zip(SHOPS, baskets, reasons, strict=True)
    ]
    reports = tuple(map(_report, SHOPS, prints, baskets, rules, reasons))
    with connect(database) as connection:
        rows = chain.from_iterable(map(_rows, SHOPS, rules, names, extents))
        replace_rows(connection, PRODUCT_ASSOCIATIONS, rows)
        replace_rows(connection, PRODUCT_ASSOCIATION_RUNS, map(_run_row, reports))
    return AssociationReport(reports, largest_basket)


def _fingerprint(extent: Extent, thresholds: Thresholds, limits: Limits, largest: int) -> str:
    origin = [
        RULES_VERSION,
        *(extent.digest, str(extent.first_on), str(extent.last_on)),
        *map(str, (thresholds.support, thresholds.confidence, thresholds.lift)),
        *(thresholds.count, limits.products, largest),
    ]
    return hashlib.sha256(json.dumps(origin).encode()).hexdigest()


def _earlier(connection: Connection) -> list[ShopReport]:
    """What the last run wrote, in the order of the shops."""
    rows = connection.execute(
        "select domain, fingerprint, basket_count, product_count, left_out_count, rule_count,"
        " skipped_reason from ml.product_association_runs"
    ).fetchall()
    found = {str(row[0]): ShopReport(*row) for row in rows}  # type: ignore[arg-type]
    return [found[shop.domain] for shop in SHOPS if shop.domain in found]


def _encode(shop: Shop, lines: pd.DataFrame, largest_basket: int) -> Baskets:
    try:
        return encode_baskets(lines, largest=largest_basket)
    except InputError as error:
        raise InputError(
            error.what, where=f"baskets of {shop.domain}", next_step=error.next_step
        ) from error


def _mine(shop: Shop, baskets: Baskets, thresholds: Thresholds, limits: Limits) -> pd.DataFrame:
    try:
        return find_rules(baskets, thresholds, limits)
    except InputError as error:
        raise InputError(
            error.what,
            where=f"{len(baskets):,} baskets of {shop.domain}",
            next_step="Raise INSIGHT_ASSOCIATION_MIN_SUPPORT or INSIGHT_ASSOCIATION_SECONDS, or"
            " lower INSIGHT_ASSOCIATION_MAX_PRODUCTS or INSIGHT_ASSOCIATION_MAX_BASKET",
        ) from error


def _report(
    shop: Shop, fingerprint: str, baskets: Baskets, rules: pd.DataFrame | None, reason: str | None
) -> ShopReport:
    return ShopReport(
        domain=shop.domain,
        fingerprint=fingerprint,
        baskets=len(baskets),
        products=len(baskets.products),
        left_out=baskets.left_out,
        rules=0 if rules is None else len(rules),
        skipped_reason=reason,
    )


def _rows(
    shop: Shop, rules: pd.DataFrame | None, names: dict[str, str], extent: Extent
) -> Iterator[tuple[object, ...]]:
    """Rows of ml.product_associations."""
    if rules is None:
        return
    products = {product for each in rules["antecedent"] for product in each}
    told = sentences(rules, labels_of(products | set(rules["consequent"]), names))
    for rule, sentence in zip(rules.to_dict("records"), told, strict=True):
        antecedent, consequent = list(rule["antecedent"]), rule["consequent"]
        yield (
            shop.domain,
            antecedent,
            consequent,
            [names.get(product, product) for product in antecedent],
            names.get(consequent, consequent),
            rule["antecedent_count"],
            rule["consequent_count"],
            rule["rule_count"],
            rule["basket_count"],
            *(_rounded(rule[measure]) for measure in _MEASURES),
            sentence,
            extent.first_on,
            extent.last_on,
        )


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, _DECIMALS)


def _run_row(report: ShopReport) -> tuple[object, ...]:
    return (
        report.domain,
        report.fingerprint,
        report.baskets,
        report.products,
        report.left_out,
        report.rules,
        report.skipped_reason,
    )
