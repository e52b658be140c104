{% macro mentions_crypto(text_expression) -%}
    {{ return(adapter.dispatch('mentions_crypto')(text_expression)) }}
{%- endmacro %}

{#- As whole words: 'method' does not mention ETH. -#}
{% macro postgres__mentions_crypto(text_expression) -%}
    {%- set words = [
        'crypto', 'cryptos', 'cryptocurrency', 'cryptocurrencies', 'bitcoin', 'bitcoins', 'btc',
        'ethereum', 'ether', 'eth', 'blockchain', 'stablecoin', 'stablecoins', 'altcoin',
        'altcoins', 'dogecoin', 'solana', 'defi', 'nft', 'nfts'
    ] -%}
    {{ text_expression }} ~* '\m({{ words | join("|") }})\M'
{%- endmacro %}
