{#- A total order of the raw rows of one id: coordinates are unique. -#}
{% macro landing_order() -%}
    ingestion_timestamp, _cluster_id, _topic, _partition, _offset
{%- endmacro %}
