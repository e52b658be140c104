{{
    streaming_model(
        'stg_account_transactions',
        'account_transactions_raw',
        key='transaction_id',
        event_time='transaction_time'
    )
}}

with

first_landed as (

    {{
        first_landed_rows(
            'stg_account_transactions',
            source('streaming', 'account_transactions_raw'),
            key='transaction_id',
            event_time='transaction_time'
        )
    }}

),

final as (

    select
        -- ids
        transaction_id,
        customer_id,

        -- numbers
        cast(transaction_amt as numeric(14, 2)) as transaction_amt,

        -- calendar (UTC)
        {{ calendar_parts('transaction_time') }},

        -- times
        transaction_time as event_timestamp,
        {{ stream_columns() }}
    from first_landed

)

select * from final
