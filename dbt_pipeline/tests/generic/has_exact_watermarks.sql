{#- The increments carry the watermark on; this computes it anew over the whole raw table. Rows that
    the loader wrote since the last build come after all that were read. -#}
{% test has_exact_watermarks(model, raw_table, event_time='event_timestamp') %}

    with

    raw_rows as (

        select * from {{ raw_table }}

    ),

    published as (

        select * from {{ model }}

    ),

    recomputed as (

        select
            _partition_id,
            _offset,
            max({{ event_time }}) over (
                partition by _partition_id order by _load_id, _offset
                rows between unbounded preceding and 1 preceding
            ) as watermark
        from raw_rows

    )

    select
        published._partition_id,
        published._offset,
        published._watermark,
        recomputed.watermark
    from published
    inner join recomputed
        on
            published._partition_id = recomputed._partition_id
            and published._offset = recomputed._offset
    where published._watermark is distinct from recomputed.watermark

{% endtest %}
