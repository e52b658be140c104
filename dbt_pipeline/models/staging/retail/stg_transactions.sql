{{
    streaming_model(
        'stg_transactions', 'transactions_raw', key='transaction_id', event_time='timestamp'
    )
}}

with

first_landed as (

    {{
        first_landed_rows(
            'stg_transactions',
            source('streaming', 'transactions_raw'),
            key='transaction_id',
            event_time='timestamp'
        )
    }}

),

final as (

    select
        -- ids
        transaction_id,
        product_id,
        store_id,
        customer_id,

        -- numbers
        cast(amount as numeric(12, 2)) as amount,

        -- calendar (UTC)
        {{ calendar_parts('timestamp') }},

        -- times
        timestamp as event_timestamp,
        {{ stream_columns() }}
    from first_landed

)

select * from final
