"""From a rule to SQL and to the answer for one customer."""
