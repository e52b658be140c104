with

spend as (

    select * from {{ ref('stg_marketing_spend') }}

),

-- Days are not summed up: the primary key refuses a day that came twice, where a sum would hide it.
final as (

    select
        -- times
        spend.spend_date,

        -- text
        channels.channel,

        -- numbers
        cast(channels.amount as numeric(22, 2)) as spend_amount,

        -- loader
        spend._loaded_at as processed_at
    from spend
    cross join lateral (
        values ('offline', spend.offline_spend), ('online', spend.online_spend)
    ) as channels (channel, amount)

)

select * from final
