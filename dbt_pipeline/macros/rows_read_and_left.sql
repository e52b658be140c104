{% macro rows_read_and_left(reader, raw_table, reads) %}
    with

    seen as (

        select partition_id, offsets + pending as offsets
        from {{ reads }}
        where model = '{{ reader }}'

    )

    select
        (
            select coalesce(sum(upper(part.offsets) - lower(part.offsets)), 0)
            from seen
            cross join lateral unnest(seen.offsets) as part (offsets)
        ) as rows_read,
        (
            select count(*)
            from {{ raw_table }} as raw
            inner join seen
                on raw._partition_id = seen.partition_id and seen.offsets @> raw._offset
        ) as rows_left
{% endmacro %}
