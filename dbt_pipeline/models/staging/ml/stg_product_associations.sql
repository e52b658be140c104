with

source as (

    select * from {{ source('ml', 'product_associations') }}

),

final as (

    select
        domain,
        antecedent,
        consequent,
        antecedent_names,
        consequent_name,
        antecedent_count,
        consequent_count,
        rule_count,
        basket_count,
        support,
        confidence,
        lift,
        leverage,
        conviction,
        sentence,
        first_basket_on,
        last_basket_on
    from source

)

select * from final
