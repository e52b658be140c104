{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='transaction_id',
        on_schema_change='fail',
        indexes=[
            {'columns': ['sold_at']}, {'columns': ['product_id']}, {'columns': ['store_id']}
        ],
        pre_hook="{{ begin_model_read('fct_pos_transactions', ['stg_transactions']) }}"
    )
}}

with

staged as not materialized (

    select * from {{ ref('stg_transactions') }}

),

products as (

    select * from {{ ref('dim_pos_products') }}

),

stores as (

    select * from {{ ref('dim_pos_stores') }}

),

changed as (

    {{ changed_rows('fct_pos_transactions', 'staged') }}

),

{% if reads_new_rows_only() -%}
published as not materialized (

    select * from {{ this }}

),

-- A sale can arrive before its product or store is in the seed.
now_known as (

    {{
        now_known(
            'published', ['transaction_id'], {'product_id': 'products', 'store_id': 'stores'}
        )
    }}

),

sales as (

    select * from changed

    union

    select staged.*
    from now_known
    cross join {{ lookup('staged', 'now_known', ['transaction_id']) }} as staged

),

{% else -%}
sales as (

    select * from changed

),

{% endif -%}
final as (

    select
        -- ids
        sales.transaction_id,
        coalesce(products.product_id, '-1') as product_id,
        sales.product_id as source_product_id,
        coalesce(stores.store_id, '-1') as store_id,
        sales.store_id as source_store_id,
        sales.customer_id,

        -- numbers
        sales.amount,

        -- times
        sales.event_date as date_day,
        sales.event_timestamp as sold_at,
        sales.ingestion_timestamp as processed_at
    from sales
    left join products on sales.product_id = products.product_id
    left join stores on sales.store_id = stores.store_id

)

select * from final
