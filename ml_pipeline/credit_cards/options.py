"""What a person may choose; the command line and the DAG read it without any heavy import."""

from enum import StrEnum

CUSTOMER = "CUST_ID"
DEFAULT_FEATURES = ("BALANCE", "PURCHASES", "CREDIT_LIMIT")
SMALLEST_K, LARGEST_K = 2, 10


class Missing(StrEnum):
    """What becomes of a customer with an empty feature: left out, or given the median."""

    drop = "drop"
    median = "median"


class Scaling(StrEnum):
    """What K-means sees: standard deviations of log(1 + x), or of the amounts themselves."""

    log = "log"
    standard = "standard"
