with

sales as (

    select * from {{ ref('stg_online_sales') }}

),

taxes as (

    select * from {{ ref('stg_tax_amount') }}

),

-- Names, categories and prices of a SKU change over time: the newest sale decides.
newest as (

    select distinct on (product_sku)
        product_sku,
        product_name,
        product_category,
        avg_price
    from sales
    order by product_sku asc, transaction_date desc, _file desc, _row desc

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
