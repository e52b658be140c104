{#- The configuration of a streaming staging model, so that no domain has to repeat it. The hook is
    text: it is rendered when the model runs. -#}
{% macro streaming_model(
    reader, raw_table, key='id', event_time='event_timestamp', indexes=[]
) -%}
    {%- do config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=key,
        on_schema_change='fail',
        tags=['streaming'],
        indexes=[
            {'columns': [key], 'unique': true},
            {'columns': ['_partition_id', '_offset'], 'unique': true},
            {'columns': ['event_timestamp']},
        ] + indexes,
        pre_hook="{{ begin_stream_read('" ~ reader ~ "', source('streaming', '" ~ raw_table
            ~ "'), '" ~ event_time ~ "') }}"
    ) -%}
{%- endmacro %}
