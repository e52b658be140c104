"""Live segments of bank customers: aggregates, centroids and names that follow the movements."""
