"""The categories of the generated shop: tax, coupons, prices and the make-up of products."""

from dataclasses import dataclass
from itertools import product as combinations

BRANDS = ("Google", "Android", "YouTube", "Waze", "Go")
COLOURS = ("Black", "White", "Navy", "Heather Grey", "Charcoal", "Red", "Green", "Royal Blue")
SIZES = ("XS", "SM", "MD", "LG", "XL")


@dataclass(frozen=True)
class Category:
    """A product category: its tax, its coupon code stem (none: no coupons) and its products.

    `line_share` is the share of the year's sale lines. Prices are in currency units; a product's
    base price is drawn between `lowest` and `highest`. `bulk_share` of the lines are of many
    pieces. `variants` are combined with `items`; the first `products` combinations are sold.
    """

    name: str
    gst: str
    coupon_stem: str | None
    line_share: float
    lowest: float
    highest: float
    bulk_share: float
    products: int
    items: tuple[str, ...]
    variants: tuple[str, ...]


def _variants(*parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(" ".join(choice) for choice in combinations(*parts))


_NEST_FINISHES = ("White", "Stainless Steel", "Copper", "Black", "Sand")
_NEST_ITEMS = (
    "Smart Thermostat 2nd Gen",
    "Indoor Camera",
    "Outdoor Camera",
    "Smoke Alarm Battery",
    "Smoke Alarm Wired",
    "Video Doorbell",
    "Home Alarm Pack",
)

# fmt: off
CATEGORIES = (
    Category("Accessories", "10%", "ACS", 0.006, 3, 22, 0.03, 40,
             ("Sport Sunglasses", "Phone Ring", "Bike Bell", "Lens Kit", "Knit Scarf"),
             _variants(BRANDS[:2], COLOURS)),
    Category("Android", "10%", "ADR", 0.002, 4, 20, 0.03, 14,
             ("Figurine", "Plush Robot", "Desk Robot", "Pin, Set of 3"),
             ("Small", "Large", "Classic", "Holiday")),
    Category("Apparel", "18%", "WEAR", 0.344, 8, 38, 0.012, 560,
             ("Men&#39;s Short Sleeve Tee", "Women&#39;s Short Sleeve Tee", "Zip Hoodie",
              "Women&#39;s Fleece Vest", "Men&#39;s Polo", "Toddler Tee", "Youth Hoodie",
              "Rain Jacket", "Long Sleeve Baseball Tee", "Crew Socks"),
             _variants(BRANDS[:3], COLOURS, SIZES[1:4])),
    Category("Backpacks", "10%", None, 0.002, 60, 110, 0.0, 10,
             ("Commuter Backpack", "20L Rucksack", "Laptop Backpack"),
             ("Black", "Charcoal", "Navy", "Olive")),
    Category("Bags", "18%", "CARRY", 0.036, 6, 45, 0.03, 60,
             ("Canvas Tote", "Zip Pouch", "Drawstring Bag", "Duffel Bag", "Lunch Cooler"),
             _variants(BRANDS[:3], COLOURS[:5])),
    Category("Bottles", "5%", "BTL", 0.005, 3, 19, 0.04, 20,
             ("17 oz Steel Bottle", "24 oz Sport Bottle", "Glass Bottle with Sleeve"),
             COLOURS),
    Category("Drinkware", "18%", "DRINK", 0.066, 3, 20, 0.05, 80,
             ("12 oz Ceramic Mug", "Travel Tumbler", "Infuser Bottle", "Espresso Cup Set",
              "9&quot; Straw Tumbler"),
             _variants(BRANDS[:3], COLOURS[:6])),
    Category("Fun", "18%", None, 0.003, 2, 16, 0.05, 14,
             ("Luggage Tag", "Yo-yo", "Card Game", "Foam Flyer, 9&quot;"),
             ("Red", "Blue", "Green", "Yellow")),
    Category("Gift Cards", "5%", "GIFT", 0.003, 25, 200, 0.0, 5,
             ("Gift Card",),
             ("25.00", "50.00", "100.00", "150.00", "200.00")),
    Category("Google", "10%", None, 0.002, 8, 90, 0.01, 10,
             ("Phone Case", "Charging Stand", "Cardboard Viewer"),
             ("Black", "White", "Mint", "Coral")),
    Category("Headgear", "5%", "HAT", 0.015, 9, 21, 0.03, 40,
             ("5-Panel Hat", "Wool Beanie", "Trucker Hat", "Bucket Hat"),
             _variants(BRANDS[:2], COLOURS[:6])),
    Category("Housewares", "12%", "HOME", 0.002, 2, 12, 0.04, 14,
             ("Bamboo Coaster Set", "Kitchen Towel", "6&quot; Candle", "Picture Frame"),
             ("Natural", "White", "Slate", "Blue")),
    Category("Lifestyle", "18%", "LIFE", 0.058, 1.5, 14, 0.05, 70,
             ("Umbrella", "Lip Balm", "Travel Blanket", "8&quot; Dog Flyer", "Phone Grip",
              "Hand Fan", "Beach Towel"),
             _variants(BRANDS[:3], COLOURS[:5])),
    Category("More Bags", "18%", None, 0.001, 18, 60, 0.01, 8,
             ("Weekender Bag", "Packable Tote"),
             ("Black", "Grey", "Navy", "Olive")),
    Category("Nest", "5%", "NST", 0.042, 110, 300, 0.001, 22,
             _NEST_ITEMS,
             _NEST_FINISHES[:4]),
    Category("Nest-Canada", "10%", "NSTCA", 0.006, 120, 260, 0.001, 20,
             tuple(f"{item}-CA" for item in _NEST_ITEMS),
             _NEST_FINISHES[:3]),
    Category("Nest-USA", "10%", "NSTUS", 0.262, 102, 205, 0.0012, 30,
             tuple(f"{item}-USA" for item in _NEST_ITEMS),
             _NEST_FINISHES),
    Category("Notebooks & Journals", "5%", "PAPER", 0.014, 3, 15, 0.09, 28,
             ("Spiral Notebook &amp; Pen", "Hard Cover Journal", "Pocket Notebook, 3-Pack",
              "Dot Grid Journal"),
             _variants(BRANDS[:3], COLOURS[:3])),
    Category("Office", "18%", "DESK", 0.121, 1.3, 9, 0.10, 84,
             ("Gel Roller Pen", "Ballpoint Pen", "Sticker Sheet", "Pencils, Set of 6",
              "Desk Mat 18&quot; x 12&quot;", "Felt Sleeve 13&quot;", "Screen Cloth", "USB Hub"),
             _variants(BRANDS[:3], COLOURS[:5])),
    Category("Waze", "18%", "WZE", 0.010, 2, 18, 0.05, 16,
             ("Dashboard Mount", "Key Ring", "Sticker Sheet", "Car Charger"),
             ("Blue", "White", "Grey", "Pink")),
)
# fmt: on

# A coupon category that no sale has, as in the published data.
COUPON_ONLY_CATEGORY = ("Notebooks", "NOTEP")
