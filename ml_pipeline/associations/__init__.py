"""What is bought together: baskets, frequent itemsets, rules, and the sentences that say them."""
