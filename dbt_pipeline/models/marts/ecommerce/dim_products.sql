with

-- Not materialized: a copy of every sale would be made first.
sales as not materialized (

    select * from {{ ref('stg_online_sales') }}

),

taxes as (

    select * from {{ ref('stg_tax_amount') }}

),

last_days as (

    select
        product_sku,
        max(transaction_date) as last_day
    from sales
    group by product_sku

),

-- Names, categories and prices of a SKU change over time: the newest sale decides. Only sales of
-- the last day are sorted.
newest as (

    select distinct on (sales.product_sku)
        sales.product_sku,
        sales.product_name,
        sales.product_category,
        sales.avg_price
    from sales
    inner join last_days
        on sales.product_sku = last_days.product_sku and sales.transaction_date = last_days.last_day
    order by sales.product_sku asc, sales._file desc, sales._row desc

),

final as (

    select
        newest.product_sku,
        newest.product_name,
        newest.product_category as category,
        case
            when newest.product_category in ('Nest', 'Nest-USA', 'Nest-Canada') then 'Smart Home'
            when newest.product_category in ('Apparel', 'Headgear') then 'Clothing'
            when newest.product_category in ('Bags', 'More Bags', 'Backpacks') then 'Bags'
            when newest.product_category in ('Drinkware', 'Bottles', 'Housewares')
                then 'Kitchen and Home'
            when newest.product_category in ('Office', 'Notebooks', 'Notebooks & Journals')
                then 'Stationery'
            when newest.product_category in ('Android', 'Google', 'Waze') then 'Brand Goods'
            when newest.product_category in ('Lifestyle', 'Fun', 'Accessories')
                then 'Lifestyle'
            when newest.product_category = 'Gift Cards' then 'Gift Cards'
            else 'Other'
        end as product_group,
        newest.avg_price as newest_price,
        taxes.gst_rate
    from newest
    left join taxes on newest.product_category = taxes.product_category

)

select * from final
