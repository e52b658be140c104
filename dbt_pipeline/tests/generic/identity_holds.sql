{#- The identity stands in the model's config under meta, so that the docs site shows it too. -#}
{% test identity_holds(model) %}

    {%- set identities = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.relation_name == model | string -%}
            {%- do identities.append(node.config.meta.get('identity')) -%}
        {%- endfor -%}
        {%- if not identities or not identities[0] -%}
            {{ exceptions.raise_compiler_error(model ~ ' declares no identity under config.meta') }}
        {%- endif -%}
    {%- endif %}

    select *
    from {{ model }}
    where ({{ identities | first or 'true' }}) is not true

{% endtest %}
