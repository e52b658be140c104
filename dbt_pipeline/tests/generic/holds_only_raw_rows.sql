{% test holds_only_raw_rows(model, raw_table, key='id') %}

    with

    raw_rows as (

        select * from {{ raw_table }}

    ),

    published as (

        select * from {{ model }}

    )

    select published.{{ key }}
    from published
    left join raw_rows
        on
            published.{{ key }} = raw_rows.{{ key }}
            and published._partition_id = raw_rows._partition_id
            and published._offset = raw_rows._offset
    where raw_rows.{{ key }} is null

{% endtest %}
