{#- The partitions are found by skipping along the raw table's unique index, and in each of them
    only the gaps of what was read are looked into: the cost follows the new rows, not history. -#}
{% macro unread_offsets(reader, raw_table, event_time, reads) %}
    with recursive partitions as (
        (
            select _partition_id
            from {{ raw_table }}
            order by _partition_id
            limit 1
        )
        union all
        select following.*
        from partitions as previous
        cross join lateral (
            select raw._partition_id
            from {{ raw_table }} as raw
            where raw._partition_id > previous._partition_id
            order by raw._partition_id
            limit 1
        ) as following
    )

    select
        '{{ reader }}' as model,
        partitions._partition_id as partition_id,
        range_agg(int8range(unread._offset, unread._offset + 1)) as pending,
        max(unread.{{ event_time }}) as pending_highest_event_at
    from partitions
    left join {{ reads }} as reads
        on reads.model = '{{ reader }}'
        and reads.partition_id = partitions._partition_id
    cross join lateral unnest(
        '{(,)}'::int8multirange - coalesce(reads.offsets, '{}')
    ) as gap (offsets)
    cross join lateral (
        select raw._offset, raw.{{ event_time }}
        from {{ raw_table }} as raw
        where raw._partition_id = partitions._partition_id
            and raw._offset >= coalesce(lower(gap.offsets), 0)
            and raw._offset < coalesce(upper(gap.offsets), 9223372036854775807)
        {#- Keeps the planner from turning the look-ups into a scan of the whole raw table. #}
        offset 0
    ) as unread
    group by partitions._partition_id
{% endmacro %}
