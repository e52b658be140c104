{#- This relation has as many rows as another one, plus a fixed number of its own. -#}
{% test equal_row_count(model, to, extra_rows=0) %}

    with

    here as (

        select count(*) as row_count from {{ model }}

    ),

    there as (

        select count(*) as row_count from {{ to }}

    )

    select
        here.row_count as rows_here,
        there.row_count as rows_there
    from here
    cross join there
    where here.row_count <> there.row_count + {{ extra_rows }}

{% endtest %}
