"""The rules, by family. A rule looks at a manifest and yields what breaks it."""

from governance.rules import access, documentation, keys, layers, names, sql, stale, tables
from governance.rules.rule import Finding, Rule

RULES: tuple[Rule, ...] = (
    *layers.RULES,
    *names.RULES,
    *keys.RULES,
    *documentation.RULES,
    *access.RULES,
    *sql.RULES,
    *tables.RULES,
    *stale.RULES,
)

__all__ = ["RULES", "Finding", "Rule"]
