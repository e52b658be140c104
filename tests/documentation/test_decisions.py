"""The decisions, their index and the site name the same files."""

import re
from pathlib import Path


def test_every_decision_stands_in_the_index_and_on_the_site(project_root: Path) -> None:
    folder = project_root / "docs" / "decisions"
    written = sorted(file.name for file in folder.glob("0*.md"))
    index = (folder / "README.md").read_text()
    site = (project_root / "mkdocs.yml").read_text()
    assert re.findall(r"\((0\S+\.md)\)", index) == written
    assert re.findall(r"decisions/(0\S+\.md)", site) == written
