"""Which customers a bucket draws: those whose hash lies below a limit."""

import hashlib

from segmentation.rules.spec import Bucket

_HASHES = 2**32


def bucket_limit(leaf: Bucket) -> str:
    """What the MD5 of salt and customer, in hexadecimal, must be below; 8 digits are compared."""
    limit = int(leaf.percent * _HASHES) // 100
    return "g" if limit >= _HASHES else f"{limit:08x}"


def salted(leaf: Bucket) -> str:
    """What stands before the customer's id in the text that is hashed."""
    return f"{leaf.salt}:"


def in_bucket(leaf: Bucket, customer_id: str) -> bool:
    """Whether a customer is drawn."""
    text = f"{salted(leaf)}{customer_id}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest() < bucket_limit(leaf)
