with

sales as (

    select * from {{ ref('fct_sales') }}

),

customers as (

    select * from {{ ref('stg_customers') }}

)

select
    sales.sale_line_id,
    sales.customer_id,
    sales.source_customer_id
from sales
left join customers on sales.source_customer_id = customers.customer_id
where (sales.customer_id = '-1') <> (customers.customer_id is null)
