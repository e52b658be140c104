"""An exposure stands on the marts that its code reads, no more and no fewer."""

import json
import re
from pathlib import Path

import pytest

# In a query, or as the two names that are put into one.
_MART = re.compile(r"""\bmarts(?:\.|",\s*")((?:fct|dim|rpt)_\w+)""")


def test_each_exposure_reads_what_its_code_reads(
    built_project: Path, build_outputs: tuple[str, str], project_root: Path
) -> None:
    manifest = json.loads((built_project / "target" / "manifest.json").read_text())
    assert {each["type"] for each in manifest["exposures"].values()} >= {
        "notebook",
        "ml",
        "application",
        "dashboard",
    }
    for exposure in manifest["exposures"].values():
        files = exposure["config"]["meta"]["code"]
        code = "\n".join((project_root / file).read_text() for file in files)
        declared = {name.split(".")[2] for name in exposure["depends_on"]["nodes"]}
        assert set(_MART.findall(code)) == declared, exposure


@pytest.mark.parametrize("name", ["fct_sales", "fct_customer_segments"])
def test_what_programs_read_is_named_by_an_exposure(
    built_project: Path, build_outputs: tuple[str, str], name: str
) -> None:
    manifest = json.loads((built_project / "target" / "manifest.json").read_text())
    children = manifest["child_map"][f"model.dbt_pipeline.{name}"]
    assert [child for child in children if child.startswith("exposure.")] != []
