"""Which failures a retry can help."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from insight.errors import ConfigurationError, InputError, IntegrityError


@contextmanager
def retried_unless_hopeless() -> Iterator[None]:
    """End a task at once, with its sentence, when the same input would fail again.

    A service that cannot be reached, and anything unexpected, is left to the task's retries.
    """
    try:
        yield
    except (InputError, ConfigurationError, IntegrityError) as error:
        raise AirflowFailException(str(error)) from error
