"""The loader compares names as dbt will write them."""

import re
from pathlib import Path

from batch.entities import HTML_ENTITIES


def test_the_loader_and_the_macro_decode_the_same_entities(project_root: Path) -> None:
    macro = project_root / "dbt_pipeline" / "macros" / "decode_html_entities.sql"
    pairs = re.findall(r"""\('(&[^']+;)', (?:'([^']+|'')'|"([^"]+)")\)""", macro.read_text())
    decoded = [(entity, (single or double).replace("''", "'")) for entity, single, double in pairs]
    assert tuple(decoded) == HTML_ENTITIES
