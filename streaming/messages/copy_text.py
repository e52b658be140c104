"""Values as the text format of COPY writes them."""

NULL = r"\N"

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def escaped(text: str) -> str:
    """The text of one value; NULL itself, by identity, stays what it is.

    A message whose text reads backslash N means these two characters, not NULL.
    """
    return text if text is NULL else text.translate(_ESCAPES)


def is_plain(text: str) -> bool:
    """Whether the text needs no escape."""
    return "\\" not in text and "\t" not in text and "\n" not in text and "\r" not in text
