"""The published JSON Schema of a rule: `python -m segmentation.rules.schema` writes it."""

import json
import sys
from pathlib import Path

from segmentation.rules.spec import Rule

SCHEMA_FILE = Path(__file__).with_name("rule.schema.json")


def schema_text() -> str:
    """The JSON Schema (draft 2020-12) of the documents that are rules."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Rule.model_json_schema(),
        "title": "Rule of a segment",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file that is published."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    sys.stdout.write(f"{SCHEMA_FILE}\n")


if __name__ == "__main__":
    main()
