{{
    config(
        materialized='incremental',
        incremental_strategy='rebuild_groups',
        unique_key='date_day',
        incremental_predicates=['sale_count + refund_count + sales_refund_count > 0'],
        on_schema_change='fail',
        pre_hook="{{ begin_model_read(
            'fct_pos_net_revenue_daily', ['stg_transactions', 'stg_refunds']
        ) }}"
    )
}}

with

sales as not materialized (

    select * from {{ ref('stg_transactions') }}

),

refunds as not materialized (

    select * from {{ ref('stg_refunds') }}

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

changed_sales as (

    {{ changed_rows('fct_pos_net_revenue_daily', 'sales') }}

),

changed_refunds as (

    {{ changed_rows('fct_pos_net_revenue_daily', 'refunds') }}

),

-- The sales for which a changed refund stands, or stood while another arrival of it counted.
refunded_sales as (

    select original_transaction_id as transaction_id from changed_refunds

    union

    select told.transaction_id
    from changed_refunds
    cross join
        lateral jsonb_array_elements_text(changed_refunds._other_transaction_ids)
            as told (transaction_id)

),

moments as (

    select place.event_at
    from changed_sales
    cross join {{ event_times('changed_sales') }} as place

    union

    select place.event_at
    from changed_refunds
    cross join {{ event_times('changed_refunds') }} as place

    union

    select sale.event_timestamp as event_at
    from refunded_sales
    cross join {{ lookup('sales', 'refunded_sales', ['transaction_id']) }} as sale

    union

    -- Until the sale came, its refunds counted on their own day as refunds of an unknown one.
    select refund.event_timestamp as event_at
    from changed_sales
    cross join
        {{ lookup('refunds', 'changed_sales', {'original_transaction_id': 'transaction_id'}) }}
            as refund

),

days as (

    select date_trunc('day', event_at, 'UTC') as day_started_at from moments

    union

    select cast(now_known.date_day as timestamp) at time zone 'UTC' as day_started_at
    from (
        {{
            now_known('published', ['date_day'], {'product_id': 'products', 'store_id': 'stores'})
        }}
    ) as now_known

),

sales_of_days as (

    select sale.*
    from days
    cross join {{ events_during('sales', 'days', 'day_started_at', '1 day') }} as sale

),

refunds_of_days as (

    select refund.*
    from days
    cross join {{ events_during('refunds', 'days', 'day_started_at', '1 day') }} as refund

),

refunds_of_sales as (

    select
        sales_of_days.event_date,
        sales_of_days.store_id,
        sales_of_days.product_id,
        refund.refund_amount
    from sales_of_days
    cross join
        {{ lookup('refunds', 'sales_of_days', {'original_transaction_id': 'transaction_id'}) }}
            as refund

),

refunds_of_no_sale as (

    select
        refunds_of_days.event_date,
        refunds_of_days.refund_amount
    from refunds_of_days
    left join
        {{ lookup('sales', 'refunds_of_days', {'transaction_id': 'original_transaction_id'}) }}
            as sale
        on true
    where sale.transaction_id is null

),

{% else -%}
sales_of_days as (

    select * from sales

),

refunds_of_days as (

    select * from refunds

),

refunds_of_sales as (

    select
        sales.event_date,
        sales.store_id,
        sales.product_id,
        refunds.refund_amount
    from sales
    inner join refunds on sales.transaction_id = refunds.original_transaction_id

),

refunds_of_no_sale as (

    select
        refunds.event_date,
        refunds.refund_amount
    from refunds
    left join sales on refunds.original_transaction_id = sales.transaction_id
    where sales.transaction_id is null

),

{% endif -%}
movements as (

    select
        event_date as date_day,
        store_id as source_store_id,
        product_id as source_product_id,
        amount as gross,
        cast(null as numeric(12, 2)) as refunded,
        cast(null as numeric(12, 2)) as refunded_of_sales
    from sales_of_days

    union all

    select
        event_date as date_day,
        store_id as source_store_id,
        product_id as source_product_id,
        null as gross,
        refund_amount as refunded,
        null as refunded_of_sales
    from refunds_of_days

    union all

    select
        event_date as date_day,
        store_id as source_store_id,
        product_id as source_product_id,
        null as gross,
        null as refunded,
        refund_amount as refunded_of_sales
    from refunds_of_sales

    union all

    select
        event_date as date_day,
        '-1' as source_store_id,
        '-1' as source_product_id,
        null as gross,
        null as refunded,
        refund_amount as refunded_of_sales
    from refunds_of_no_sale
    {%- if reads_new_rows_only() %}

    union all

    -- A day that everything has left comes as a row that counts nothing.
    select
        cast(day_started_at at time zone 'UTC' as date) as date_day,
        null as source_store_id,
        null as source_product_id,
        null as gross,
        null as refunded,
        null as refunded_of_sales
    from days
    {%- endif %}

),

summed as (

    select
        date_day,
        source_store_id,
        source_product_id,
        count(gross) as sale_count,
        coalesce(sum(gross), 0) as gross_revenue,
        count(refunded) as refund_count,
        coalesce(sum(refunded), 0) as refund_amount,
        count(refunded_of_sales) as sales_refund_count,
        coalesce(sum(refunded_of_sales), 0) as sales_refund_amount
    from movements
    group by date_day, source_store_id, source_product_id

),

final as (

    select
        -- ids
        coalesce(stores.store_id, '-1') as store_id,
        summed.source_store_id,
        coalesce(products.product_id, '-1') as product_id,
        summed.source_product_id,

        -- times
        summed.date_day,

        -- numbers
        cast(summed.sale_count as integer) as sale_count,
        cast(summed.gross_revenue as numeric(22, 2)) as gross_revenue,
        cast(summed.refund_count as integer) as refund_count,
        cast(summed.refund_amount as numeric(22, 2)) as refund_amount,
        cast(summed.gross_revenue - summed.refund_amount as numeric(22, 2)) as net_revenue,
        cast(summed.sales_refund_count as integer) as sales_refund_count,
        cast(summed.sales_refund_amount as numeric(22, 2)) as sales_refund_amount,
        cast(
            summed.gross_revenue - summed.sales_refund_amount as numeric(22, 2)
        ) as sales_net_revenue
    from summed
    left join stores on summed.source_store_id = stores.store_id
    left join products on summed.source_product_id = products.product_id

)

select * from final
