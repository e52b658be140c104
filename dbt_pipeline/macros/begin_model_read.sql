{#- Marks what the streaming models have read and the reader has not: never more than they publish,
    even while the loader goes on between their run and the reader's. -#}
{% macro begin_model_read(reader, models) %}
    {%- set reads = stream_reads() -%}
    {%- set unread %}
    select '{{ reader }}', published.partition_id, unread.pending, null
    from {{ reads }} as published
    left join {{ reads }} as reads
        on reads.model = '{{ reader }}'
        and reads.partition_id = published.partition_id
    cross join lateral (
        select published.offsets + published.pending - coalesce(reads.offsets, '{}') as pending
    ) as unread
    where published.model in ('{{ models | join("', '") }}') and not isempty(unread.pending)
    {%- endset -%}
    {{ begin_read(reader, unread) }}
{% endmacro %}
