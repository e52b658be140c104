{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='transaction_id',
        on_schema_change='fail',
        indexes=[{'columns': ['customer_id', 'transacted_at']}],
        pre_hook="{{ begin_model_read('fct_account_transactions', ['stg_account_transactions']) }}"
    )
}}

with

staged as not materialized (

    select * from {{ ref('stg_account_transactions') }}

),

changed as (

    {{ changed_rows('fct_account_transactions', 'staged') }}

),

final as (

    select
        -- ids
        transaction_id,
        customer_id,

        -- numbers
        transaction_amt,
        cast(greatest(transaction_amt, 0) as numeric(14, 2)) as money_in,
        cast(greatest(-transaction_amt, 0) as numeric(14, 2)) as money_out,

        -- times
        event_date as date_day,
        event_timestamp as transacted_at,
        ingestion_timestamp as processed_at
    from changed

)

select * from final
