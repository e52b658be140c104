"""What the parts cost against plain baselines, measured side by side in one run."""
