"""Customer segmentation: RFM features, K-means, names that last, a model that is plain JSON."""
