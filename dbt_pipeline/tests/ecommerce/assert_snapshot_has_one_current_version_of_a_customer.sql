with

versions as (

    select * from {{ ref('customer_snapshot') }}

)

select customer_id, count(*) as current_versions
from versions
where dbt_valid_to is null
group by customer_id
having count(*) > 1
