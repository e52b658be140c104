"""The seed file: which segment each customer has, byte for byte the same for the same data."""

import hashlib
import io
import os
import re
import tempfile
from pathlib import Path

import pandas as pd

SEED_COLUMNS = ("customer_id", "segment_id", "segment_name")
_TO_BE_QUOTED = r'[",\r\n]'


def seed_bytes(labels: pd.DataFrame) -> bytes:
    """CSV with `SEED_COLUMNS`, LF line ends, UTF-8, rows in the order of the frame.

    It quotes what Postgres quotes, so that COPY in this format gives the same bytes back.
    """
    ids = labels["customer_id"].tolist()
    # One search in all of them: asking a million ids one by one takes longer than the rest.
    if "" in ids or re.search(_TO_BE_QUOTED, "".join(ids)):
        ids = [_quoted(key) for key in ids]
    named = labels.drop_duplicates("segment_id")[["segment_id", "segment_name"]]
    ends = {number: f",{number},{_quoted(name)}\n" for number, name in named.to_numpy().tolist()}
    numbers = labels["segment_id"].tolist()
    lines = [key + ends[number] for key, number in zip(ids, numbers, strict=True)]
    return empty_seed() + "".join(lines).encode()


def _quoted(text: str) -> str:
    # Nothing at all would be read as a missing value.
    if text and not re.search(_TO_BE_QUOTED, text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def empty_seed() -> bytes:
    """A seed with its header only: nobody has a segment."""
    return (",".join(SEED_COLUMNS) + "\n").encode()


def read_seed(content: bytes) -> pd.DataFrame:
    """The labels of a seed file; ids stay text, whatever they look like."""
    return pd.read_csv(
        io.BytesIO(content), dtype={"customer_id": str, "segment_name": str}, keep_default_na=False
    )


def content_of(path: Path) -> bytes | None:
    """The file's bytes, None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def sha256(content: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file: a reader, or a crash at any moment, sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # Without it a power cut can leave the new name with no content.
            os.fsync(file.fileno())
        # mkstemp makes it private; other accounts read the seed and the model.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        # It is there only when it was not moved.
        Path(name).unlink(missing_ok=True)
