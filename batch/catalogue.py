"""The invented product catalogue of the generated shop: about 1,145 products."""

from dataclasses import dataclass
from random import Random

from batch.categories import BRANDS, CATEGORIES, Category


@dataclass(frozen=True)
class Product:
    """One product; `price_cents` are the prices it has in the four quarters of the year."""

    sku: str
    name: str
    category: str
    price_cents: tuple[int, int, int, int]
    bulk_share: float


def build_catalogue(rng: Random) -> dict[str, list[Product]]:
    """The products of each category, the best-selling first."""
    return {
        category.name: [_product(rng, category, number) for number in range(category.products)]
        for category in CATEGORIES
    }


def _product(rng: Random, category: Category, number: int) -> Product:
    # Stepping through the items first gives the best sellers different kinds.
    item = category.items[number % len(category.items)]
    variant = category.variants[(number // len(category.items)) % len(category.variants)]
    letters = "".join(letter for letter in category.name.upper() if letter.isalpha())
    # Golden-ratio steps spread the prices of the few best sellers evenly, whatever the seed.
    base = category.lowest * (category.highest / category.lowest) ** (number * 0.618 % 1)
    return Product(
        sku=f"MKT{letters[:1]}{letters[-3:]}{number * 37 + 10007:06d}",
        name=_name(item, variant),
        category=category.name,
        price_cents=_quarter_prices(rng, base),
        bulk_share=category.bulk_share,
    )


def _name(item: str, variant: str) -> str:
    brand, _, rest = variant.partition(" ")
    if brand in BRANDS:
        return f"{brand} {item} {rest}"
    return f"{item} - {variant}"


def _quarter_prices(rng: Random, base: float) -> tuple[int, int, int, int]:
    def price() -> int:
        return max(50, round(base * rng.choice((0.8, 0.9, 1.0, 1.0, 1.1)) * 100) // 10 * 10 - 1)

    return price(), price(), price(), price()
