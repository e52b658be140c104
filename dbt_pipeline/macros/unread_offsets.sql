{#- The partitions are found by skipping along the raw table's unique index, and in each of them
    only the gaps of what was read are looked into: the cost follows the new rows, not history. -#}
{% macro unread_offsets(reader, raw_table, reads) %}
    with recursive partitions as (
        (
            select _cluster_id, _topic, _partition
            from {{ raw_table }}
            order by _cluster_id, _topic, _partition
            limit 1
        )
        union all
        select following.*
        from partitions as previous
        cross join lateral (
            select raw._cluster_id, raw._topic, raw._partition
            from {{ raw_table }} as raw
            where (raw._cluster_id, raw._topic, raw._partition)
                > (previous._cluster_id, previous._topic, previous._partition)
            order by raw._cluster_id, raw._topic, raw._partition
            limit 1
        ) as following
    )

    select
        '{{ reader }}',
        partitions._cluster_id,
        partitions._topic,
        partitions._partition,
        '{}'::int8multirange,
        range_agg(int8range(unread._offset, unread._offset + 1))
    from partitions
    left join {{ reads }} as reads
        on reads.model = '{{ reader }}'
        and reads.cluster_id = partitions._cluster_id
        and reads.topic = partitions._topic
        and reads.partition = partitions._partition
    cross join lateral unnest(
        '{(,)}'::int8multirange - coalesce(reads.offsets, '{}')
    ) as gap (offsets)
    cross join lateral (
        select raw._offset
        from {{ raw_table }} as raw
        where raw._cluster_id = partitions._cluster_id
            and raw._topic = partitions._topic
            and raw._partition = partitions._partition
            and raw._offset >= coalesce(lower(gap.offsets), 0)
            and raw._offset < coalesce(upper(gap.offsets), 9223372036854775807)
        {#- Keeps the planner from turning the look-ups into a scan of the whole raw table. #}
        offset 0
    ) as unread
    group by partitions._cluster_id, partitions._topic, partitions._partition
{% endmacro %}
