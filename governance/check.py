"""All rules on one manifest, less the exceptions that were agreed on."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from governance.manifest import Manifest
from governance.rules import RULES, Finding

EXCEPTIONS = Path(__file__).with_name("exceptions.yml")


@dataclass(frozen=True)
class GovernanceException:
    """One thing that may break one rule, and why."""

    rule: str
    node: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What breaks a rule, by rule, and exceptions that nothing needs any more."""

    violations: list[tuple[str, Finding]]
    unneeded: list[GovernanceException]


def read_exceptions(file: Path = EXCEPTIONS) -> list[GovernanceException]:
    """The agreed exceptions. Raises TypeError when one lacks its rule, node or reason."""
    return [GovernanceException(**entry) for entry in yaml.safe_load(file.read_text()) or []]


def check(manifest: Manifest, exceptions: list[GovernanceException]) -> Verdict:
    """Every rule on a manifest; one exception excuses all that one node does to one rule."""
    excused = {(each.rule, each.node) for each in exceptions}
    findings = [(rule.__name__, finding) for rule in RULES for finding in rule(manifest)]
    found = {(rule, finding.node) for rule, finding in findings}
    return Verdict(
        [(rule, finding) for rule, finding in findings if (rule, finding.node) not in excused],
        [each for each in exceptions if (each.rule, each.node) not in found],
    )
