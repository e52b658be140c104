{% macro refuse_to_lose_rows(reader, raw_table) %}
    {{ return(adapter.dispatch('refuse_to_lose_rows')(reader, raw_table)) }}
{% endmacro %}

{#- A full refresh reads what the raw table holds: rows that are gone from there would be gone from
    the model too, which until then holds them. -#}
{% macro postgres__refuse_to_lose_rows(reader, raw_table) %}
    {%- set is_refreshed = execute and flags.FULL_REFRESH and not var('accept_deleted_rows') -%}
    {%- if is_refreshed and load_relation(this) and load_relation(stream_reads()) -%}
        {#- Under --empty the source renders as a query of no rows. -#}
        {%- set raw = api.Relation.create(
            database=raw_table.database, schema=raw_table.schema, identifier=raw_table.identifier
        ) -%}
        {%- set counts = run_query(rows_read_and_left(reader, raw, stream_reads())).rows[0] -%}
        {%- if counts[0] > counts[1] -%}
            {{ exceptions.raise_compiler_error(
                (counts[0] - counts[1]) ~ " rows that " ~ reader ~ " has read are no longer in "
                ~ raw ~ ": a full refresh would lose them. Put them back, or, to let them go, add: "
                ~ "--vars 'accept_deleted_rows: true'"
            ) }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
