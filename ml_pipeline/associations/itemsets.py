"""Frequent itemsets by FP-growth (Han, Pei, Yin: Mining frequent patterns without candidate
generation, SIGMOD 2000), on the tree of mlxtend.

mlxtend's public function takes the support as a float, puts all baskets into one tree of Python
objects, and runs to its end. Here numpy projects the baskets on one product after the other (the
authors' database projection, Data Mining and Knowledge Discovery 8, 2004) and mlxtend grows the
small trees: the limit is an integer, most of the time and memory is saved, and the clock is looked
at between the steps. A test holds the result to that of the public function.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from insight.errors import InputError
from ml_pipeline.associations.baskets import Baskets, Codes

LONGEST_ITEMSET = 3
_MOST_ITEMSETS = 1_000_000


@dataclass(frozen=True)
class Itemsets:
    """All frequent itemsets of one length: a row of `codes` each, ascending, rows in order."""

    codes: Codes
    counts: Codes


@dataclass(frozen=True)
class Limits:
    """What mining may cost: products in an itemset, seconds, and itemsets kept in memory."""

    products: int = LONGEST_ITEMSET
    seconds: float = 60.0
    itemsets: int = _MOST_ITEMSETS


def frequent_itemsets(baskets: Baskets, least_count: int, limits: Limits) -> list[Itemsets]:
    """The itemsets that at least `least_count` baskets hold, by length from 1 on.

    Every subset of an itemset in the result is in it too. Raises InputError when a limit is
    reached.
    """
    _refuse(limits)
    watch = _Watch(limits, least_count)
    found: list[tuple[list[tuple[int, ...]], list[int]]] = [
        ([], []) for _ in range(limits.products)
    ]
    for count, itemset in _mine(baskets, least_count, limits.products, watch):
        rows, counts = found[len(itemset) - 1]
        rows.append(tuple(sorted(itemset)))
        counts.append(count)
        watch.count_itemset()
    return [_in_order(rows, counts) for rows, counts in found if rows]


def _refuse(limits: Limits) -> None:
    if limits.products < 2:
        raise InputError(
            f"itemsets of {limits.products} products make no rule", next_step="Choose 2 or more"
        )
    if not limits.seconds > 0:
        raise InputError(
            f"{limits.seconds:g} seconds are no time to mine in", next_step="Choose more than 0"
        )


class _Watch:
    """Ends a search that takes too long or too much memory."""

    def __init__(self, limits: Limits, least_count: int):
        self._limits = limits
        self._least_count = least_count
        self._deadline = time.monotonic() + limits.seconds
        self._itemsets = 0

    def look(self) -> None:
        if time.monotonic() > self._deadline:
            raise self._error(f"takes longer than {self._limits.seconds:g} seconds")

    def count_itemset(self) -> None:
        self._itemsets += 1
        if self._itemsets > self._limits.itemsets:
            raise self._error(f"finds more than {self._limits.itemsets:,} itemsets")
        self.look()

    def _error(self, what: str) -> InputError:
        least = "one basket" if self._least_count == 1 else f"{self._least_count:,} baskets"
        return InputError(
            f"the search for up to {self._limits.products} products that {least} or more hold"
            f" {what}",
            next_step="Raise the smallest support, or look at fewer products at a time",
        )


def _mine(
    baskets: Baskets, least_count: int, longest: int, watch: _Watch
) -> Iterator[tuple[int, list[int]]]:
    """(count, codes) of each frequent itemset, in no particular order."""
    from mlxtend.frequent_patterns.fpgrowth import fpg_step

    ranked = _Ranked.of(baskets, least_count)
    for rank, (item, count) in enumerate(zip(ranked.items, ranked.counts, strict=True)):
        watch.look()
        yield count, [item]
        tree = _conditional_tree(ranked, rank, least_count)
        yield from fpg_step(tree, least_count, None, longest, 0)


@dataclass(frozen=True)
class _Ranked:
    """The frequent products of each basket as ranks, ascending; rank 0 is the most frequent one.

    Entry e is the product `ranks[e]` of a basket that begins at entry `begins[e]`; `by_rank` lists
    the entries of one rank after the other, those of rank r from `rank_starts[r]` on.
    """

    items: list[int]
    counts: list[int]
    ranks: Codes
    begins: Codes
    by_rank: Codes
    rank_starts: Codes

    @classmethod
    def of(cls, baskets: Baskets, least_count: int) -> "_Ranked":
        counts = baskets.product_counts()
        items = np.argsort(-counts, kind="stable")[: int((counts >= least_count).sum())]
        rank_of = np.full(len(counts), len(items))
        rank_of[items] = np.arange(len(items))
        ranks = rank_of[baskets.codes]
        owners = np.repeat(np.arange(len(baskets)), np.diff(baskets.starts))
        owners, ranks = owners[ranks < len(items)], ranks[ranks < len(items)]
        order = np.lexsort((ranks, owners))
        owners, ranks = owners[order], ranks[order]
        return cls(
            items.tolist(),
            counts[items].tolist(),
            ranks,
            begins=np.searchsorted(owners, owners),
            by_rank=np.argsort(ranks, kind="stable"),
            rank_starts=np.concatenate([[0], np.cumsum(counts[items])]).astype(np.int64),
        )

    def before(self, rank: int) -> tuple[Codes, Codes]:
        """Of the baskets with a product: (number of the basket, rank) of all more frequent ones."""
        ends = self.by_rank[self.rank_starts[rank] : self.rank_starts[rank + 1]]
        sizes = ends - self.begins[ends]
        skipped = np.cumsum(sizes) - sizes
        entries = np.arange(sizes.sum()) + np.repeat(self.begins[ends] - skipped, sizes)
        return np.repeat(np.arange(len(ends)), sizes), self.ranks[entries]


def _conditional_tree(ranked: _Ranked, rank: int, least_count: int) -> Any:
    """The FP-tree of what the baskets with a product hold beside it, of the more frequent ones."""
    from mlxtend.frequent_patterns.fpcommon import FPTree

    tree = FPTree({})
    tree.cond_items = [ranked.items[rank]]
    owners, others = ranked.before(rank)
    frequent = (np.bincount(others, minlength=1) >= least_count)[others]
    owners, others = owners[frequent], others[frequent]
    starts = np.flatnonzero(np.diff(owners, prepend=-1)).tolist()
    items = [ranked.items[other] for other in others.tolist()]
    ends = [*starts, len(items)][1:]
    paths = Counter(tuple(items[start:end]) for start, end in zip(starts, ends, strict=True))
    for path, count in paths.items():
        tree.insert_itemset(path, count)
    return tree


def _in_order(rows: list[tuple[int, ...]], counts: list[int]) -> Itemsets:
    codes = np.array(rows, dtype=np.int64)
    order = np.lexsort(codes.T[::-1])
    return Itemsets(codes[order], np.array(counts, dtype=np.int64)[order])
