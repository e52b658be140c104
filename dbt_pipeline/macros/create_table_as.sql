{#- dbt's own makes a contract's table with its keys and fills it then: each row goes through an
    index in the order of the rows. Of keys without order that took ten times as long, for five
    million rows, as making the index of a filled table: create_indexes adds the keys. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set is_contract = config.get('contract').enforced and not temporary -%}
    {{ get_assert_columns_equivalent(sql) if config.get('contract').enforced }}
    create {{ 'temporary' if temporary }} table {{ relation }}
    {%- if is_contract %} (
        {{ adapter.render_raw_columns_constraints(raw_columns=model['columns']) | join(', ') }}
    );
    insert into {{ relation }} ({{ adapter.dispatch('get_column_names', 'dbt')() }})
    {%- else %} as
    {%- endif %}
    (
        {{ get_select_subquery(sql) if is_contract else sql }}
    );
{%- endmacro %}
