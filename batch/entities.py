"""HTML entities in the names of products and categories: how such names compare in a key."""

# The list of the dbt macro decode_html_entities, in its order. A pair that stood only there would
# load as two rows with one key, and stop the build later instead of the load.
HTML_ENTITIES = (
    ("&quot;", '"'), ("&#34;", '"'),
    ("&apos;", "'"), ("&#39;", "'"), ("&#039;", "'"),
    ("&lt;", "<"), ("&gt;", ">"),
    ("&nbsp;", " "), ("&#160;", " "),
    ("&ndash;", "\N{EN DASH}"), ("&mdash;", "\N{EM DASH}"),
    ("&lsquo;", "\N{LEFT SINGLE QUOTATION MARK}"),
    ("&rsquo;", "\N{RIGHT SINGLE QUOTATION MARK}"),
    ("&trade;", "™"), ("&reg;", "®"), ("&copy;", "©"),
    ("&#38;", "&"), ("&amp;", "&"),
)  # fmt: skip


def decoded_key() -> str:
    """The SQL template of a text without its entities; {0} stands for the column."""
    expression = "{0}"
    for entity, character in HTML_ENTITIES:
        quoted = character.replace("'", "''")
        expression = f"replace({expression}, '{entity}', '{quoted}')"
    return expression
