-- What is bought together, in words: the rules of each shop with the highest lift.
with

associations as (

    select * from {{ ref('fct_product_associations') }}

),

ranked as (

    select
        domain,
        sentence,
        rule_count,
        support,
        confidence,
        lift,
        row_number() over (
            partition by domain
            order by lift desc, rule_count desc, antecedent asc, consequent asc
        ) as place
    from associations

)

select
    domain,
    place,
    sentence,
    rule_count as baskets,
    support,
    confidence,
    lift
from ranked
where place <= 10
order by domain asc, place asc
