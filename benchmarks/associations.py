"""What is bought together in 100,000 baskets, beside the functions of mlxtend on the same data.

Every run has a process of its own: its peak memory is that of one search.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import apriori, fpgrowth

from benchmarks import machine
from benchmarks.readme import table
from benchmarks.target import Target, verdicts
from ml_pipeline.associations.baskets import encode_baskets
from ml_pipeline.associations.itemsets import LONGEST_ITEMSET, Limits, frequent_itemsets
from ml_pipeline.associations.rules import find_rules
from ml_pipeline.associations.thresholds import Thresholds

_SUPPORT = "0.001"
_CONFIDENCE = "0.1"
_SECONDS, _MEBIBYTES = 2.0, 1024.0
# Products of a mean basket beyond the first one.
_MORE_PRODUCTS = 3.2


@dataclass(frozen=True)
class Size:
    """How much is searched, and how often."""

    baskets: int = 100_000
    products: int = 1_200
    runs: int = 3


@dataclass(frozen=True)
class Search:
    """One search: seconds by the clock and of the processor, peak MiB of its process, itemsets."""

    seconds: float
    cpu_seconds: float
    mebibytes: float
    itemsets: int


@dataclass(frozen=True)
class Results:
    """The searches of each contender, and what the plain apriori would hold at once."""

    size: Size
    searches: dict[str, list[Search]]
    rules: int
    plain_gibibytes: float


def run(size: Size | None = None) -> Results:
    """All contenders in turn, round after round."""
    size = size or Size()
    searches: dict[str, list[Search]] = {name: [] for name in CONTENDERS}
    for _ in range(size.runs):
        for name, found in searches.items():
            found.append(_apart(name, size))
    baskets = encode_baskets(sale_lines(size))
    frequent = int((baskets.product_counts() >= _thresholds().least_count(len(baskets))).sum())
    return Results(
        size,
        searches,
        rules=len(find_rules(baskets, _thresholds())),
        # One byte for each basket and pair of frequent products, once for each of the two.
        plain_gibibytes=frequent * (frequent - 1) * len(baskets) / 2**30,
    )


def report(results: Results) -> str:
    """The results as Markdown: nothing in it is written by hand."""
    rows = [
        (name, f"{_median(each, 'seconds'):.2f}",
         f"{_median(each, 'cpu_seconds'):.2f}", f"{_median(each, 'mebibytes'):.0f}",
         f"{each[0].itemsets:,}")
        for name, each in results.searches.items()
    ]  # fmt: skip
    size = results.size
    found = table(("search", "s", "CPU s", "peak MiB", "itemsets"), rows)
    return (
        f"{verdicts(targets(results))}\n\n{found}\n\n"
        f"{size.baskets:,} baskets of {size.products:,} products, {_MORE_PRODUCTS + 1:.1f} lines"
        f" each, support {_SUPPORT}, up to {LONGEST_ITEMSET} products. Ours begins with the lines"
        f" and ends with the {results.rules:,} rules of confidence {_CONFIDENCE} and more; the"
        " others begin with the ready table of baskets by products and end with the itemsets."
        f" Without `low_memory` apriori would hold {results.plain_gibibytes:.1f} GiB at once, so it"
        f" is run with it. {machine.told()} Medians of {size.runs} runs in turn."
    )


def targets(results: Results) -> list[Target]:
    """The numbers that were asked for."""
    ours = results.searches[OURS]
    size = f"{results.size.baskets:,} baskets of {results.size.products:,} products"
    return [
        Target(f"lines to rules, {size}", _SECONDS, _median(ours, "seconds"), True, " s"),
        Target("peak memory of that", _MEBIBYTES, _median(ours, "mebibytes"), True, " MiB"),
    ]


def sale_lines(size: Size) -> pd.DataFrame:
    """Lines of baskets whose products are as unequal as those of a shop (rank to the power -1)."""
    draw = np.random.default_rng(2019)
    weights = 1 / (np.arange(size.products) + 3)
    sizes = draw.poisson(_MORE_PRODUCTS, size.baskets) + 1
    products = draw.choice(size.products, size=sizes.sum(), p=weights / weights.sum())
    return pd.DataFrame(
        {
            "basket_id": np.repeat(np.arange(size.baskets), sizes).astype(str),
            "product_id": np.char.add("P", products.astype(str)),
        }
    )


def _apart(name: str, size: Size) -> Search:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_search, name, size).result()


def _search(name: str, size: Size) -> Search:
    contender = CONTENDERS[name]
    lines = sale_lines(size)
    prepared = contender.prepare(lines)
    started, cpu_started = time.perf_counter(), time.process_time()
    found = contender.search(prepared)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak = machine.peak_mib()
    itemsets = _itemsets_in(lines) if name == OURS else len(found)
    return Search(seconds, cpu_seconds, peak, itemsets)


def _lines_to_rules(lines: pd.DataFrame) -> pd.DataFrame:
    return find_rules(encode_baskets(lines), _thresholds())


def _itemsets_in(lines: pd.DataFrame) -> int:
    baskets = encode_baskets(lines)
    levels = frequent_itemsets(baskets, _thresholds().least_count(len(baskets)), Limits())
    return sum(len(level.counts) for level in levels)


def _thresholds() -> Thresholds:
    return Thresholds.of(support=_SUPPORT, confidence=_CONFIDENCE)


def _table(lines: pd.DataFrame) -> pd.DataFrame:
    """One row a basket, one column a product, true where the basket holds it."""
    baskets = encode_baskets(lines)
    cells = np.zeros((len(baskets), len(baskets.products)), dtype=bool)
    cells[np.repeat(np.arange(len(baskets)), np.diff(baskets.starts)), baskets.codes] = True
    return pd.DataFrame(cells)


def _fpgrowth(cells: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = fpgrowth(cells, min_support=float(_SUPPORT), max_len=LONGEST_ITEMSET)
    return found


def _apriori(cells: pd.DataFrame) -> pd.DataFrame:
    limits = {"min_support": float(_SUPPORT), "max_len": LONGEST_ITEMSET}
    found: pd.DataFrame = apriori(cells, low_memory=True, **limits)
    return found


def _median(searches: list[Search], measure: str) -> float:
    return float(statistics.median(getattr(each, measure) for each in searches))


@dataclass(frozen=True)
class _Contender:
    """What is made of the lines before the clock runs, and what is timed."""

    prepare: Callable[[pd.DataFrame], pd.DataFrame]
    search: Callable[[pd.DataFrame], pd.DataFrame]


OURS = "`find_rules`"
CONTENDERS = {
    OURS: _Contender(lambda lines: lines, _lines_to_rules),
    "mlxtend `fpgrowth`": _Contender(_table, _fpgrowth),
    "mlxtend `apriori`, `low_memory`": _Contender(_table, _apriori),
}
