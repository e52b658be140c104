{#- Rows that the loader wrote since the last build are not missing: they are not read yet. -#}
{% test has_every_read_id(model, raw_table, key='id') %}

    with

    raw_rows as (

        select * from {{ raw_table }}

    ),

    stream_reads as (

        select * from {{ source('stream_reads', 'stream_reads') }}

    ),

    published as (

        select * from {{ model }}

    ),

    read_rows as (

        select raw_rows.{{ key }}
        from raw_rows
        inner join stream_reads as reads
            on
                reads.model = '{{ model.identifier }}'
                and raw_rows._partition_id = reads.partition_id
                and (reads.offsets @> raw_rows._offset or reads.pending @> raw_rows._offset)

    )

    select read_rows.{{ key }}
    from read_rows
    left join published on read_rows.{{ key }} = published.{{ key }}
    where published.{{ key }} is null

{% endtest %}
