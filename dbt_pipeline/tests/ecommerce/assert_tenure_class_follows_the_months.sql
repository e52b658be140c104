with

customers as (

    select * from {{ ref('dim_customer') }}

)

select customer_id, customer_tenure_months, customer_segment
from customers
where
    customer_segment is distinct from case
        when customer_id = '-1' then 'Unknown'
        when customer_tenure_months between 0 and 5 then 'New'
        when customer_tenure_months between 6 and 12 then 'Developing'
        when customer_tenure_months between 13 and 24 then 'Established'
        when customer_tenure_months >= 25 then 'Loyal'
    end
