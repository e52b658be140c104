with

associations as (

    select * from {{ ref('stg_product_associations') }}

),

final as (

    select
        -- ids
        domain,
        antecedent,
        consequent,

        -- texts
        antecedent_names,
        consequent_name,
        sentence,

        -- numbers
        antecedent_count,
        consequent_count,
        rule_count,
        basket_count,
        support,
        confidence,
        lift,
        leverage,
        conviction,

        -- times
        first_basket_on,
        last_basket_on
    from associations

)

select * from final
