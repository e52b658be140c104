"""One turn of `lifetimes`, run by the Python of its own environment: ours cannot be imported."""

import json
import resource
import sys
import time

import numpy as np
from lifetimes import (  # type: ignore[import-not-found]
    GammaGammaFitter,
    ModifiedBetaGeoFitter,
)

_HORIZON_DAYS = 90


def main() -> None:
    """Reads the customers, prints the seconds of each step."""
    stored = np.load(sys.argv[1])
    frequency, recency, age = stored["frequency"], stored["recency_days"], stored["age_days"]
    has_repeat = frequency > 0
    value = np.where(has_repeat, stored["mean_order_value"], 0.0)
    started = time.perf_counter()
    purchases = ModifiedBetaGeoFitter()
    purchases.fit(frequency, recency, age)
    bought = time.perf_counter()
    values = GammaGammaFitter()
    values.fit(frequency[has_repeat], value[has_repeat])
    valued = time.perf_counter()
    expected = purchases.conditional_expected_number_of_purchases_up_to_time(
        _HORIZON_DAYS, frequency, recency, age
    )
    purchases.conditional_probability_alive(frequency, recency, age)
    worth = values.conditional_expected_average_profit(frequency, value)
    total = float(np.sum(expected * worth))
    ended = time.perf_counter()
    told = {
        "purchases": bought - started,
        "values": valued - bought,
        "forecast": ended - valued,
        "expected_value": total,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
