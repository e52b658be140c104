"""One turn of ours in a process of its own: `python -m benchmarks.lifetime.ours FILE`."""

import json
import sys
import time

import numpy as np
import pandas as pd

from benchmarks import machine
from ml_pipeline.lifetime_value.forecast import forecast
from ml_pipeline.lifetime_value.gamma_gamma import fit_order_values
from ml_pipeline.lifetime_value.purchase_model import fit_purchases

_HORIZON_DAYS = 90


def main() -> None:
    """Reads the customers, prints the seconds of each step."""
    stored = np.load(sys.argv[1])
    summary = pd.DataFrame({name: stored[name] for name in stored.files})
    summary.insert(0, "customer_id", summary.index.astype(str))
    started = time.perf_counter()
    purchases = fit_purchases(summary, "mbg_nbd")
    bought = time.perf_counter()
    values = fit_order_values(summary)
    valued = time.perf_counter()
    forecasts = forecast(summary, purchases.model, values.model, _HORIZON_DAYS)
    ended = time.perf_counter()
    told = {
        "purchases": bought - started,
        "values": valued - bought,
        "forecast": ended - valued,
        "expected_value": float(forecasts["expected_value"].sum()),
        "peak_mib": machine.peak_mib(),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
