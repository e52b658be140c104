"""The dbt commands of the documentation that are run as typed, and what each one prints."""

TYPED = {
    "dbt debug": "All checks passed!",
    "dbt deps": "",
    "dbt seed": "Completed successfully",
    "dbt run": "Completed successfully",
    "dbt snapshot": "Completed successfully",
    "dbt run --select tag:streaming": "stg_news",
    "dbt show --select stg_bitcoin --limit 5": "coingecko_simulator",
    "dbt ls --select version:old --resource-type model": "fct_bitcoin_prices.v1",
    "dbt show --select fct_bitcoin_prices.v1 --limit 5": "coingecko_simulator",
    "dbt run-operation get_row_count --args '{table_name: stg_bitcoin}'": "stg_bitcoin: 576 rows",
    "dbt test --select test_type:singular": "WARN=0 ERROR=0",
    "dbt test --select test_type:unit": "WARN=0 ERROR=0",
    "dbt test --select test_name:valid_transaction_amount": "PASS=5 WARN=0 ERROR=0",
    "dbt source freshness": "PASS freshness of raw.customers",
    "dbt docs generate": "Catalog written",
    "dbt docs generate --static": "Catalog written",
}
