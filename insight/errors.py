"""Errors a person can act on, named by the reaction they want.

The command line prints any `InsightError` as one line (what, where, what to do next) and
exits with code 1. Anything else that escapes is a defect in this project and keeps its traceback.
"""


class InsightError(Exception):
    """Base of all expected failures.

    `what` is one sentence without a final full stop, `where` names the file, line, offset or
    service, `next_step` is a command or an action.
    """

    def __init__(self, what: str, *, where: str | None = None, next_step: str | None = None):
        self.what = what
        self.where = where
        self.next_step = next_step
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f". {self.next_step}" if self.next_step else ""
        return f"{place}{self.what}{advice}"


class ConfigurationError(InsightError):
    """A setting is missing or wrong: correct it and run the same command again."""


class InputError(InsightError):
    """A file, message or argument that a person gave cannot be used: correct the input."""


class ServiceError(InsightError):
    """Postgres, Kafka or Redis cannot be started or reached: mend the service, then retry."""


class IntegrityError(InsightError):
    """Stored data contradicts an invariant: stop and look, a retry cannot help."""


class StageError(InsightError):
    """A stage of the main job failed; the stages before it are complete."""
