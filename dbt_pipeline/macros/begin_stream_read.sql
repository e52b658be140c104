{#- Marks exactly the coordinates that are in the raw table now and were in no earlier read. A row
    that commits later stays unmarked and belongs to the next read, however low its offset is. -#}
{% macro begin_stream_read(reader, raw_table, event_time='event_timestamp') %}
    {%- do refuse_to_lose_rows(reader, raw_table) -%}
    {{ begin_read(reader, unread_offsets(reader, raw_table, event_time, stream_reads())) }}
{% endmacro %}
