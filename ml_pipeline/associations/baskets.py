"""Baskets as sets of products, from lines of basket and product."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insight.errors import InputError

Codes = NDArray[np.int64]

LARGEST_BASKET = 100


@dataclass(frozen=True)
class Baskets:
    """Which products each basket holds, as codes: positions in `products`, which is sorted.

    The codes of basket i are `codes[starts[i]:starts[i + 1]]`, each once and ascending.
    `left_out` counts the baskets that were too large to be looked at; they are no part of it.
    """

    products: tuple[str, ...]
    codes: Codes
    starts: Codes
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.starts) - 1

    def product_counts(self) -> Codes:
        """In how many baskets each product is."""
        return np.bincount(self.codes, minlength=len(self.products)).astype(np.int64)


def encode_baskets(lines: pd.DataFrame, *, largest: int = LARGEST_BASKET) -> Baskets:
    """The baskets in a frame of one row a line, with text columns basket_id and product_id.

    A product that stands twice in a basket counts once; the order of rows does not matter.
    Baskets of more than `largest` products are left out and counted: one wholesale order of 400
    products would make 10 million triples by itself. Raises InputError when a column or an id is
    missing.
    """
    if largest < 2:
        raise InputError(
            f"a largest basket of {largest} products leaves nothing to be bought together",
            next_step="Choose 2 or more",
        )
    basket_codes, _ = _codes(lines, "basket_id")
    product_codes, products = _codes(lines, "product_id", sort=True)
    # Sorted and compared with its neighbour: numpy's own unique takes five times as long.
    pairs = np.sort(basket_codes * max(len(products), 1) + product_codes)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    owners, codes = np.divmod(pairs, max(len(products), 1))
    sizes = np.bincount(owners)
    fits = sizes <= largest
    return Baskets(
        products=products,
        codes=codes[fits[owners]],
        starts=np.concatenate([[0], np.cumsum(sizes[fits])]).astype(np.int64),
        left_out=int((~fits).sum()),
    )


def reason_not_to_mine(baskets: Baskets) -> str | None:
    """Why no rule can come out of these baskets; None when one can."""
    if len(baskets) == 0:
        too_large = f", and {baskets.left_out:,} were too large" if baskets.left_out else ""
        return f"there are no baskets{too_large}"
    if len(baskets) == 1:
        return "there is only one basket"
    if np.count_nonzero(baskets.product_counts()) == 1:
        return "all baskets hold the same single product"
    return None


def _codes(
    lines: pd.DataFrame, column: str, *, sort: bool = False
) -> tuple[Codes, tuple[str, ...]]:
    """The ids of a column as places in the list of all of them."""
    if column not in lines:
        raise InputError(
            f"the lines have no column {column}",
            next_step="Give one row a line with the columns basket_id and product_id",
        )
    # None and NaN have no code, -1.
    codes, ids = pd.factorize(lines[column])
    names = [str(each) for each in ids.tolist()]
    is_blank = np.array([*(not name.strip() for name in names), True])
    if (is_missing := is_blank[codes]).any():
        raise InputError(
            f"{int(is_missing.sum()):,} of {len(lines):,} lines have no {column}, the first"
            f" is line {int(is_missing.argmax()) + 1:,}",
            next_step="Give each line its basket and its product, or leave the line out",
        )
    places, distinct = pd.factorize(np.array(names, dtype=object), sort=sort)
    return places[codes].astype(np.int64), tuple(distinct.tolist())
