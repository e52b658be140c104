{{
    streaming_model(
        'stg_refunds',
        'refunds_raw',
        key='refund_id',
        event_time='timestamp',
        indexes=[{'columns': ['original_transaction_id']}]
    )
}}

with

first_landed as (

    {{
        first_landed_rows(
            'stg_refunds',
            source('streaming', 'refunds_raw'),
            key='refund_id',
            event_time='timestamp',
            others={'original_transaction_id': '_other_transaction_ids'}
        )
    }}

),

final as (

    select
        -- ids
        refund_id,
        original_transaction_id,
        product_id,
        store_id,
        customer_id,

        -- text
        reason,

        -- numbers
        cast(refund_amount as numeric(12, 2)) as refund_amount,

        -- calendar (UTC)
        {{ calendar_parts('timestamp') }},

        -- times
        timestamp as event_timestamp,
        {{ stream_columns() }},
        _other_transaction_ids
    from first_landed

)

select * from final
