"""The credit card lab: customers of a card into clusters, in four steps with files between them."""
