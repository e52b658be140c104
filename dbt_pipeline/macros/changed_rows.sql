{#- A row stands in a streaming model under the coordinates of the raw row that counts: a row that is
    new, or stands for another raw row than before, has coordinates that its reader has not seen. -#}
{% macro changed_rows(reader, published) -%}
    {%- if reads_new_rows_only() -%}
    with

    stream_reads as (

        select * from {{ source('stream_reads', 'stream_reads') }}

    )

    {{ pending_rows(reader, published, 'stream_reads') }}
    {%- else -%}
    select * from {{ published }}
    {%- endif -%}
{%- endmacro %}
