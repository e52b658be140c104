"""Rules out of frequent itemsets: who buys the antecedent also buys the consequent.

The measures are those of Agrawal, Imielinski, Swami (SIGMOD 1993: support, confidence), Brin et
al. (SIGMOD 1997: lift, conviction) and Piatetsky-Shapiro (1991: leverage).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insight.errors import InputError
from ml_pipeline.associations.baskets import Baskets, Codes, reason_not_to_mine
from ml_pipeline.associations.itemsets import Itemsets, Limits, frequent_itemsets
from ml_pipeline.associations.thresholds import Thresholds

RULE_COLUMNS = (
    "antecedent",
    "consequent",
    "antecedent_count",
    "consequent_count",
    "rule_count",
    "basket_count",
    "support",
    "confidence",
    "lift",
    "leverage",
    "conviction",
)


def find_rules(
    baskets: Baskets, thresholds: Thresholds, limits: Limits | None = None
) -> pd.DataFrame:
    """All rules with one consequent that reach the thresholds, the highest lift first.

    One row a rule: `antecedent` (tuple of product ids, ascending), `consequent` (product id), the
    four counts of baskets that everything else follows from, `support`, `confidence`, `lift`,
    `leverage` and `conviction` (NaN where the confidence is 1: nobody went without). The
    comparisons with the thresholds are those of integers: a rule exactly on the line is in.

    Raises InputError when the baskets cannot hold a rule or a limit is reached.
    """
    if reason := reason_not_to_mine(baskets):
        raise InputError(
            reason, next_step="Give at least two baskets with two different products in them"
        )
    itemsets = frequent_itemsets(baskets, thresholds.least_count(len(baskets)), limits or Limits())
    return _rules_of(itemsets, baskets, thresholds)


def _rules_of(levels: list[Itemsets], baskets: Baskets, thresholds: Thresholds) -> pd.DataFrame:
    counts = _Counts(levels, len(baskets.products))
    parts = [
        _rules_to(level, position, baskets, counts, thresholds)
        for level in levels[1:]
        for position in range(level.codes.shape[1])
    ]
    if not parts:
        return pd.DataFrame(columns=list(RULE_COLUMNS))
    rules = pd.concat(parts, ignore_index=True)
    return rules.sort_values(
        ["lift", "confidence", "rule_count", "antecedent", "consequent"],
        ascending=[False, False, False, True, True],
        ignore_index=True,
    )


class _Counts:
    """In how many baskets an itemset is, for any subset of a frequent one.

    The number of an itemset is its place in the list of its length. The itemsets of a length are
    in order, so that (number of all but the last product, last product) finds it.
    """

    def __init__(self, levels: list[Itemsets], products: int):
        self._levels = levels
        self._products = products
        self._keys: list[Codes] = [level.codes[:, 0] for level in levels[:1]]
        for level in levels[1:]:
            prefixes = self._numbers(level.codes[:, :-1])
            self._keys.append(prefixes * products + level.codes[:, -1])

    def of(self, itemsets: Codes) -> Codes:
        """Counts of ascending rows of codes, all of one length."""
        counts: Codes = self._levels[itemsets.shape[1] - 1].counts[self._numbers(itemsets)]
        return counts

    def _numbers(self, itemsets: Codes) -> Codes:
        numbers = np.zeros(len(itemsets), dtype=np.int64)
        for keys, codes in zip(self._keys, itemsets.T, strict=False):
            numbers = np.searchsorted(keys, numbers * self._products + codes)
        return numbers


def _rules_to(
    level: Itemsets, position: int, baskets: Baskets, counts: _Counts, thresholds: Thresholds
) -> pd.DataFrame:
    """The rules whose consequent is the product at `position` of each itemset."""
    antecedents = np.delete(level.codes, position, axis=1)
    consequents = level.codes[:, position : position + 1]
    together, before, after = level.counts, counts.of(antecedents), counts.of(consequents)
    kept = _reach(thresholds, together, before, after, len(baskets))
    products = np.array(baskets.products, dtype=object)
    names = [tuple(row) for row in products[antecedents[kept]].tolist()]
    return pd.DataFrame(
        {
            "antecedent": pd.Series(names, dtype=object),
            "consequent": products[consequents[kept, 0]],
            "antecedent_count": before[kept],
            "consequent_count": after[kept],
            "rule_count": together[kept],
            "basket_count": len(baskets),
            **_measures(together[kept], before[kept], after[kept], len(baskets)),
        },
        columns=list(RULE_COLUMNS),
    )


def _reach(
    thresholds: Thresholds, together: Codes, before: Codes, after: Codes, baskets: int
) -> NDArray[np.bool_]:
    # Python's integers, which do not overflow: three counts are multiplied.
    rule, antecedent, consequent = (each.astype(object) for each in (together, before, after))
    confidence, lift = thresholds.confidence, thresholds.lift
    is_sure = rule * confidence.denominator >= antecedent * confidence.numerator
    is_lifted = rule * baskets * lift.denominator >= antecedent * consequent * lift.numerator
    reached: NDArray[np.bool_] = is_sure.astype(bool) & is_lifted.astype(bool)
    return reached


def _measures(
    together: Codes, before: Codes, after: Codes, baskets: int
) -> dict[str, NDArray[np.float64]]:
    rule, antecedent, consequent = (each.astype(np.float64) for each in (together, before, after))
    without = antecedent - rule
    # Out of the counts, not of one another: 1 - confidence would lose the digits of a large
    # conviction.
    conviction = (baskets - consequent) * antecedent / (baskets * np.where(without, without, 1))
    return {
        "support": rule / baskets,
        "confidence": rule / antecedent,
        "lift": rule * baskets / (antecedent * consequent),
        "leverage": (rule * baskets - antecedent * consequent) / baskets**2,
        "conviction": np.where(without, conviction, np.nan),
    }
