"""The API at a fixed rate of requests, beside a route that answers a constant."""
