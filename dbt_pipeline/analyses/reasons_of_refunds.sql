-- Why goods come back to the tills, and what each reason costs.
with

refunds as (

    select * from {{ ref('fct_pos_refunds') }}

)

select
    reason,
    count(*) as refunds,
    sum(refund_amount) as refund_amount,
    round(avg(refund_amount), 2) as refund_per_case,
    round(sum(refund_amount) / sum(sum(refund_amount)) over (), 4) as refund_share
from refunds
group by reason
order by refund_amount desc, reason asc
