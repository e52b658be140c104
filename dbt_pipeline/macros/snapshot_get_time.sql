{#- Takes the place of dbt's own, which is the start of the transaction as a time of the session's
    zone: an hour of every autumn would come twice, and a snapshot that waited for another would
    say that it ran before it. -#}
{% macro postgres__snapshot_get_time() -%}
    statement_timestamp()
{%- endmacro %}
