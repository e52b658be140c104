{#- JSON of the rows in ops.dbt_run_results. Of a message, what stands before DETAIL: there Postgres
    quotes the row that broke a rule, with whatever it holds about a person. -#}
{% macro result_facts(results) %}
    {%- set rows = [] -%}
    {%- for result in results -%}
        {%- set node = result.node -%}
        {%- set plain = modules.re.sub('\x1b\\[[0-9;]*m', '', result.message or '') -%}
        {%- set message = plain.split('DETAIL:')[0] | trim -%}
        {#- Of a view Postgres says that it wrote -1 rows. -#}
        {%- set rows_affected = (result.adapter_response or {}).get('rows_affected', -1) -%}
        {%- set times = result.timing or [] -%}
        {%- set started = times | map(attribute='started_at') | select | map('string') | list -%}
        {%- set ended = times | map(attribute='completed_at') | select | map('string') | list -%}
        {%- do rows.append({
            'node_id': node.unique_id,
            'name': node.name,
            'resource_type': node.resource_type | string,
            'version_hash': node.checksum.checksum if node.checksum else none,
            'status': result.status | string,
            'message': message[:500] or none,
            'execution_seconds': result.execution_time,
            'rows_affected': rows_affected
                if rows_affected >= 0 and node.resource_type in ('model', 'seed', 'snapshot')
                else none,
            'failures': result.failures,
            'started_at': started | min ~ '+00' if started else none,
            'completed_at': ended | max ~ '+00' if ended else none,
        }) -%}
    {%- endfor -%}
    {{ return(json_in_dollars(rows)) }}
{% endmacro %}
