-- Every amount belongs to exactly the class that its bounds name.
with

sales as (

    select * from {{ ref('fct_sales') }}

)

select sale_line_id, total_amount, sale_size_category
from sales
where
    (sale_size_category = 'Small') <> (total_amount < 50)
    or (sale_size_category = 'Medium') <> (total_amount >= 50 and total_amount < 200)
    or (sale_size_category = 'Large') <> (total_amount >= 200)
