"""`python -m ml_pipeline.run_notebooks FOLDER`: every notebook on the warehouse, as Markdown.

For the documentation site. A notebook runs in a folder of its own that is gone afterwards, so that
what it writes is no surprise to anybody.
"""

import argparse
import os
import tempfile
from pathlib import Path

import papermill
from nbconvert import MarkdownExporter

from insight.services import open_services
from insight.settings import load_settings

NOTEBOOKS = Path(__file__).with_name("notebooks")


def main() -> None:
    """Render all notebooks into the folder of the command line, with the settings' services."""
    parser = argparse.ArgumentParser("python -m ml_pipeline.run_notebooks")
    parser.add_argument("folder", type=Path, help="where the pages are written")
    folder = parser.parse_args().folder.resolve()
    with open_services(load_settings()) as services:
        os.environ.update(services.database.environment())
        for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
            with tempfile.TemporaryDirectory(prefix="insight-notebook-") as workplace:
                executed = execute(notebook, Path(workplace))
                to_markdown(executed, folder)


def execute(notebook: Path, workplace: Path, **parameters: object) -> Path:
    """Run a notebook from empty in a folder; the executed copy in it.

    It finds the warehouse by the `PG*` variables. Raises papermill's PapermillExecutionError with
    the cell that failed.
    """
    executed = workplace / notebook.name
    papermill.execute_notebook(
        notebook, executed, parameters=parameters, cwd=workplace, progress_bar=False
    )
    return executed


def to_markdown(executed: Path, folder: Path) -> Path:
    """Write an executed notebook as `folder/<name>.md`, its pictures in `<name>_files`."""
    pictures = f"{executed.stem}_files"
    exporter = MarkdownExporter()  # type: ignore[no-untyped-call]
    body, resources = exporter.from_filename(
        str(executed), resources={"output_files_dir": pictures, "unique_key": executed.stem}
    )
    (folder / pictures).mkdir(parents=True, exist_ok=True)
    for name, content in resources["outputs"].items():
        (folder / name).write_bytes(content)
    page = folder / f"{executed.stem}.md"
    # The site's style leaves tables with a class or a border of their own alone.
    page.write_text(body.replace('<table border="1" class="dataframe">', "<table>"))
    return page


if __name__ == "__main__":
    main()
