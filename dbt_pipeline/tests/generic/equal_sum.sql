{#- The sum of an expression is the same here and in another relation, to the last digit. -#}
{% test equal_sum(model, expression, to, to_expression=none) %}

    with

    here as (

        select coalesce(sum({{ expression }}), 0) as total
        from {{ model }}

    ),

    there as (

        select coalesce(sum({{ to_expression or expression }}), 0) as total
        from {{ to }}

    )

    select
        here.total as total_here,
        there.total as total_there
    from here
    cross join there
    where here.total <> there.total

{% endtest %}
