{#- Rows that the running read has marked, of a relation with an index on partition and offset. -#}
{% macro pending_rows(reader, relation, reads) -%}
    select unread.*
    from {{ reads }} as reads
    cross join lateral unnest(reads.pending) as batch (offsets)
    cross join lateral (
        select *
        from {{ relation }} as marked
        where
            marked._partition_id = reads.partition_id
            and marked._offset >= lower(batch.offsets)
            and marked._offset < upper(batch.offsets)
        {#- Keeps the planner from turning the look-ups into a scan of the whole relation. #}
        offset 0
    ) as unread
    where reads.model = '{{ reader }}'
{%- endmacro %}
