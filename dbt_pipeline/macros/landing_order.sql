{#- A total order of the raw rows of one stream. It needs no clock: load_id grows from one commit to
    the next inside a partition, and (_partition_id, _offset) is unique. -#}
{% macro landing_order() -%}
    _load_id, _partition_id, _offset
{%- endmacro %}
