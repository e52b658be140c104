{% macro stream_columns() -%}
    ingestion_timestamp,

        -- order of arrival
        _watermark,
        _other_event_times,

        -- loader
        _partition_id,
        _offset,
        _load_id
{%- endmacro %}
