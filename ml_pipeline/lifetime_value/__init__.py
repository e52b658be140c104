"""What customers will buy: expected purchases, chance to come back, expected value.

Times are days and money is the currency of the orders, in every name, parameter and table.
"""
