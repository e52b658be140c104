"""Names of the RFM scores: the dbt seed rfm_segments.csv, one name for each of the 125 cells.

The seed is the only place of the map; dbt joins it, and this module reads the same file.
"""

import io
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd

from insight.errors import InputError
from ml_pipeline.rfm import HIGHEST_SCORE, score_rfm

SEED_COLUMNS = ("r_score", "f_score", "m_score", "rfm_segment")
SCORES = SEED_COLUMNS[:3]

Cell = tuple[int, int, int]
SegmentMap = Mapping[Cell, str]

_CELLS = frozenset(product(range(1, HIGHEST_SCORE + 1), repeat=3))


def read_segment_map(path: Path) -> SegmentMap:
    """The map of a seed file with the columns `SEED_COLUMNS`.

    Raises InputError when there is no such file, or not exactly one name for each cell.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            "there is no map of RFM segments",
            where=str(path),
            next_step="Take the seed of the repository: git checkout -- " + path.name,
        ) from None
    return segment_map(content, where=str(path))


def segment_map(content: bytes, *, where: str = "rfm_segments.csv") -> SegmentMap:
    """The map of a seed's bytes, checked. Raises InputError that names the cell at fault."""
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    if tuple(frame.columns) != SEED_COLUMNS:
        raise _not_a_map(f"the columns are not {', '.join(SEED_COLUMNS)}", where)
    names: dict[Cell, str] = {}
    for line, (r, f, m, name) in enumerate(frame.itertuples(index=False), start=2):
        cell = _cell(r, f, m, f"{where}, line {line}")
        if cell in names:
            raise _not_a_map(f"cell {r}-{f}-{m} stands there twice", f"{where}, line {line}")
        if not name.strip():
            raise _not_a_map(f"cell {r}-{f}-{m} has no name", f"{where}, line {line}")
        names[cell] = name
    if missing := sorted(_CELLS - set(names)):
        first = "-".join(map(str, missing[0]))
        raise _not_a_map(f"{len(missing)} cells have no name, the first is {first}", where)
    return names


def segment_rfm(rfm: pd.DataFrame, names: SegmentMap) -> pd.DataFrame:
    """An RFM frame with r_score, f_score, m_score (1 to 5) and rfm_segment, in its order."""
    scores = score_rfm(rfm)
    scored = rfm.assign(
        r_score=scores["recency_score"],
        f_score=scores["frequency_score"],
        m_score=scores["monetary_score"],
    )
    cells = zip(*(scored[score].tolist() for score in SCORES), strict=True)
    return scored.assign(rfm_segment=[names[cell] for cell in cells])


def _cell(r: str, f: str, m: str, where: str) -> Cell:
    for score in (r, f, m):
        if score not in {"1", "2", "3", "4", "5"}:
            raise _not_a_map(f"'{score}' is not a score", where)
    return int(r), int(f), int(m)


def _not_a_map(what: str, where: str) -> InputError:
    return InputError(
        what,
        where=where,
        next_step="Give each of the 125 cells of the scores 1 to 5 one line and one name",
    )
