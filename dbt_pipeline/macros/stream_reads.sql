{#- Built from its parts: under --empty the source itself renders as a query of no rows. -#}
{% macro stream_reads() %}
    {%- set declared = source('stream_reads', 'stream_reads') -%}
    {{ return(api.Relation.create(
        database=declared.database, schema=declared.schema, identifier=declared.identifier
    )) }}
{% endmacro %}
