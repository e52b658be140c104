"""What a stage is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from insight.services import Services
from insight.settings import Settings
from insight.stages.dbt import DbtSummary, build


@dataclass(frozen=True)
class Context:
    """Settings, services and the choices of one run.

    `data` is the folder with the user's own files (None: generated data, `scale` times the
    default size); `generated` replaces own files with generated ones; `tell` shows a short text
    about what goes on.
    """

    settings: Settings
    services: Services
    tell: Callable[[str], None]
    data: Path | None = None
    scale: int = 1
    generated: bool = False
    live: bool = False

    def build(self, *selection: str) -> DbtSummary:
        """`dbt build` in this run's project and warehouse, without unit tests.

        Those depend on the code alone, whatever the data: they are for who changes a model.
        """
        as_of = self.settings.as_of_date
        variables = ["--vars", f"{{as_of_date: '{as_of}'}}"] if as_of else []
        return build(
            self.settings.dbt_project_dir,
            self.settings.home,
            self.services.database,
            [*selection, *variables, "--exclude-resource-type", "unit_test"],
            lambda finished, total: self.tell(f"{finished} of {total} dbt nodes"),
        )
