"""A rule as a sentence that somebody who knows no measure can read."""

from collections.abc import Iterable, Mapping

import pandas as pd


def labels_of(products: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """What each product is called: its name (and id, when others have the same name), or its id."""
    called = {product: names.get(product) or product for product in products}
    holders = pd.Series(called, dtype=object).value_counts()
    return {
        product: f"{name} ({product})" if holders[name] > 1 and name != product else name
        for product, name in called.items()
    }


def sentences(rules: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """One sentence for each row of a frame with the columns of `find_rules`."""
    return [
        _sentence([labels[each] for each in antecedent], labels[consequent], confidence, lift)
        for antecedent, consequent, confidence, lift in rules[
            ["antecedent", "consequent", "confidence", "lift"]
        ].itertuples(index=False)
    ]


def _sentence(antecedent: list[str], consequent: str, confidence: float, lift: float) -> str:
    return (
        f"Who buys {_listed(antecedent)} also buys {consequent} in {_percent(confidence)} of"
        f" baskets, {lift:,.1f} times as often as buyers in general."
    )


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _percent(share: float) -> str:
    """Whole percents, but never 0 or 100 for a share that is neither."""
    percent = 100 * share
    if 1 <= percent <= 99 or percent == 100:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if percent < 1 else "over 99 %"
