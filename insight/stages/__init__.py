"""The main job: one ordered list of stages, shared by the command line and the documentation."""

from insight.stages.context import Context
from insight.stages.job import STAGES, Stage, StageOutcome, run_stage, run_stages

__all__ = ["STAGES", "Context", "Stage", "StageOutcome", "run_stage", "run_stages"]
