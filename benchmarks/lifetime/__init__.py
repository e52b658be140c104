"""Customer lifetime value: the whole run, and its models beside the package `lifetimes`."""
