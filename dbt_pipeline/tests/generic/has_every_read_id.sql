{#- Rows that the loader wrote since the last build are not missing: they are not read yet. -#}
{% test has_every_read_id(model, raw_table) %}

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

        select raw_rows.id
        from raw_rows
        inner join stream_reads as reads
            on
                reads.model = '{{ model.identifier }}'
                and raw_rows._cluster_id = reads.cluster_id
                and raw_rows._topic = reads.topic
                and raw_rows._partition = reads.partition
                and (reads.offsets @> raw_rows._offset or reads.pending @> raw_rows._offset)

    )

    select read_rows.id
    from read_rows
    left join published on read_rows.id = published.id
    where published.id is null

{% endtest %}
