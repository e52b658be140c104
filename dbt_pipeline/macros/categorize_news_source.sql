{% macro categorize_news_source(source_name) -%}
    {{ return(adapter.dispatch('categorize_news_source')(source_name)) }}
{%- endmacro %}

{% macro postgres__categorize_news_source(source_name) -%}
    {%- set wire_services = [
        'reuters', 'associated press', 'ap', 'ap news', 'agence france-presse', 'afp', 'upi',
        'bloomberg', 'dow jones', 'pr newswire', 'business wire', 'globenewswire'
    ] -%}
    {%- set broadcasters = [
        'bbc', 'cnn', 'cnbc', 'msnbc', 'abc news', 'cbs news', 'nbc news', 'fox news',
        'fox business', 'sky news', 'al jazeera', 'npr', 'pbs', 'itv', 'euronews', 'deutsche welle'
    ] -%}
    case
        when {{ source_name }} ~* '\m({{ wire_services | join("|") }})\M' then 'WIRE_SERVICE'
        when {{ source_name }} ~* '\m({{ broadcasters | join("|") }})\M' then 'BROADCAST'
        else 'OTHER'
    end
{%- endmacro %}
