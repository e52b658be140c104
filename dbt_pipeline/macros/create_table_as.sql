{#- dbt's own makes a contract's table empty, with its keys, and inserts into it. Of that, the plan of an
    insert is never parallel, and each row goes through the indexes in the order of the rows: of keys
    without order that took ten times as long, for five million rows, as making the index of a filled
    table. create_indexes adds what the contract demands. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set is_contract = config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(sql) if is_contract }}
    create {{ 'temporary' if temporary }} table {{ relation }} as
    {%- if is_contract and not temporary %}
    select
        {%- for column in model['columns'].values() %}
        cast({{ adapter.quote(column.name) }} as {{ column.data_type }}) as {{ adapter.quote(column.name) }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from
    {%- endif %}
    (
        {{ sql }}
    ) {{- ' as model' if is_contract and not temporary }};
{%- endmacro %}
