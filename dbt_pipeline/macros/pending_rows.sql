{#- Rows of the raw table that the running read has marked. -#}
{% macro pending_rows(reader, raw_rows, reads) -%}
    select unread.*
    from {{ reads }} as reads
    cross join lateral unnest(reads.pending) as batch (offsets)
    cross join lateral (
        select *
        from {{ raw_rows }} as raw_rows
        where
            raw_rows._cluster_id = reads.cluster_id
            and raw_rows._topic = reads.topic
            and raw_rows._partition = reads.partition
            and raw_rows._offset >= lower(batch.offsets)
            and raw_rows._offset < upper(batch.offsets)
        {#- Keeps the planner from turning the look-ups into a scan of the whole raw table. #}
        offset 0
    ) as unread
    where reads.model = '{{ reader }}'
{%- endmacro %}
