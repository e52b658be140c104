{#- A dollar sign could end the quotation early, and Postgres text cannot hold a NUL. -#}
{% macro json_in_dollars(value) %}
    {{ return(tojson(value).replace('$', '\\u0024').replace('\\u0000', '')) }}
{% endmacro %}
