{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='refund_id',
        on_schema_change='fail',
        indexes=[
            {'columns': ['original_transaction_id']},
            {'columns': ['refunded_at']},
            {'columns': ['product_id']},
            {'columns': ['store_id']}
        ],
        pre_hook="{{ begin_model_read('fct_pos_refunds', ['stg_refunds', 'stg_transactions']) }}"
    )
}}

with

staged as not materialized (

    select * from {{ ref('stg_refunds') }}

),

sales as not materialized (

    select * from {{ ref('stg_transactions') }}

),

products as (

    select * from {{ ref('dim_pos_products') }}

),

stores as (

    select * from {{ ref('dim_pos_stores') }}

),

{% if reads_new_rows_only() -%}
published as not materialized (

    select * from {{ this }}

),

changed_refunds as (

    {{ changed_rows('fct_pos_refunds', 'staged') }}

),

changed_sales as (

    {{ changed_rows('fct_pos_refunds', 'sales') }}

),

-- The refunds of one sale are rebuilt together: each holds their sum and the amount of the sale.
refunded_sales as (

    select original_transaction_id from changed_refunds

    union

    select transaction_id as original_transaction_id from changed_sales

    union

    -- The sale that the refund stood for until now.
    select standing.original_transaction_id
    from changed_refunds
    cross join {{ lookup('published', 'changed_refunds', ['refund_id']) }} as standing

    union

    {{
        now_known(
            'published',
            ['original_transaction_id'],
            {'product_id': 'products', 'store_id': 'stores'}
        )
    }}

),

refunds as (

    select staged.*
    from refunded_sales
    cross join {{ lookup('staged', 'refunded_sales', ['original_transaction_id']) }} as staged

),

{% else -%}
refunds as (

    select * from staged

),

{% endif -%}
refunds_of_sales as (

    select
        refunds.*,
        sale.amount as sale_amount,
        sum(refunds.refund_amount) over (
            partition by refunds.original_transaction_id
        ) as sale_refunded_amount
    from refunds
    left join
        {{ lookup('sales', 'refunds', {'transaction_id': 'original_transaction_id'}) }} as sale
        on true

),

final as (

    select
        -- ids
        refunds_of_sales.refund_id,
        refunds_of_sales.original_transaction_id,
        coalesce(products.product_id, '-1') as product_id,
        refunds_of_sales.product_id as source_product_id,
        coalesce(stores.store_id, '-1') as store_id,
        refunds_of_sales.store_id as source_store_id,
        refunds_of_sales.customer_id,

        -- text
        refunds_of_sales.reason,

        -- numbers
        refunds_of_sales.refund_amount,
        refunds_of_sales.sale_amount,
        cast(refunds_of_sales.sale_refunded_amount as numeric(14, 2)) as sale_refunded_amount,

        -- booleans
        refunds_of_sales.sale_amount is not null as is_sale_known,
        coalesce(
            refunds_of_sales.sale_refunded_amount > refunds_of_sales.sale_amount, false
        ) as is_over_refunded,

        -- times
        refunds_of_sales.event_date as date_day,
        refunds_of_sales.event_timestamp as refunded_at,
        refunds_of_sales.ingestion_timestamp as processed_at
    from refunds_of_sales
    left join products on refunds_of_sales.product_id = products.product_id
    left join stores on refunds_of_sales.store_id = stores.store_id

)

select * from final
