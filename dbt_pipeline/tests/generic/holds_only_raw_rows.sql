{% test holds_only_raw_rows(model, raw_table) %}

    with

    raw_rows as (

        select * from {{ raw_table }}

    ),

    published as (

        select * from {{ model }}

    )

    select published.id
    from published
    left join raw_rows
        on
            published.id = raw_rows.id
            and published._cluster_id = raw_rows._cluster_id
            and published._topic = raw_rows._topic
            and published._partition = raw_rows._partition
            and published._offset = raw_rows._offset
    where raw_rows.id is null

{% endtest %}
