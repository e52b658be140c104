"""A sale as the plain consumers decode it: types and nothing else."""

import msgspec


class Sale(msgspec.Struct):
    """The fields of contract `transactions`; the time stays text, which Postgres reads itself."""

    transaction_id: str
    product_id: str
    store_id: str
    customer_id: str
    amount: float
    timestamp: str


COLUMNS = ", ".join(Sale.__struct_fields__)
decode = msgspec.json.Decoder(Sale).decode
