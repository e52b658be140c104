{#- Two snapshots that read the same current versions would both add a next one. The lock is the
    transaction's; what the first wrote is visible to the statements of the second. -#}
{% macro begin_snapshot() -%}
    select pg_advisory_xact_lock(hashtext('{{ this }}'))
{%- endmacro %}
