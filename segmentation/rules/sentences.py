"""A rule in plain English: the sentence that is read back to whoever wrote it."""

from datetime import timedelta

from segmentation.rules import spec
from segmentation.rules.checks import shown
from segmentation.rules.windows import Between, Lifetime, Offset, Rolling, ToDate, Window

_COMPARED = {
    "eq": "is",
    "ne": "is not",
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is more than",
    "gte": "is at least",
}
_MEASURED = {
    "sum": "the total of {field} over {stream}",
    "avg": "the average of {field} over {stream}",
    "min": "the lowest {field} of {stream}",
    "max": "the highest {field} of {stream}",
    "distinct": "the number of different {field} in {stream}",
}


def rule_sentence(rule: spec.Rule) -> str:
    """Who is in the segment, as one sentence."""
    who = "Customers" if rule.population is None else f"Customers of {_listed(rule.population)}"
    return f"{who} for whom {condition_sentence(rule.rule)}."


def condition_sentence(condition: spec.Condition) -> str:
    """What holds, without a full stop; groups in a group stand in parentheses."""
    match condition:
        case spec.All():
            return " and ".join(map(_inner, condition.conditions))
        case spec.AnyOf():
            return " or ".join(map(_inner, condition.conditions))
        case spec.Not():
            return f"it is not so that {_inner(condition.condition)}"
        case spec.NOf():
            below = "; ".join(map(condition_sentence, condition.conditions))
            return f"{_count(condition)} of these hold: [{below}]"
        case spec.Trait():
            return _compared(condition)
        case spec.Aggregate():
            return _aggregate(condition)
        case spec.Sequence():
            return _sequence(condition)
        case spec.Member():
            return f"the customer is in segment {condition.segment}"
        case spec.CustomerList():
            count = len(condition.customers)
            noun = "customer" if count == 1 else "customers"
            return f"the customer is one of {count:,} named {noun}"
    return (
        f"the customer is among the {condition.percent.normalize():f} % drawn with salt"
        f" '{condition.salt}'"
    )


def window_phrase(window: Window) -> str:
    """When, as the end of a phrase: in the last 30 days."""
    match window:
        case Rolling():
            return f"in the last {duration_phrase(window.last)}"
        case Offset():
            return f"from {duration_phrase(window.start)} to {duration_phrase(window.end)} ago"
        case Between():
            return f"from {_moment(window.start)} to before {_moment(window.end)}"
        case ToDate():
            return f"since the start of the {window.period}"
        case Lifetime():
            return "at any time"
    raise TypeError(window)


def duration_phrase(duration: timedelta) -> str:
    """A duration in its largest whole unit: 30 days, 36 hours, 1 minute."""
    seconds = int(duration.total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % length == 0:
            count = seconds // length
            return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"
    raise ValueError(duration)


def _inner(condition: spec.Condition) -> str:
    sentence = condition_sentence(condition)
    return f"({sentence})" if isinstance(condition, spec.All | spec.AnyOf) else sentence


def _count(group: spec.NOf) -> str:
    if group.at_least == group.at_most:
        return f"exactly {group.at_least}"
    if group.at_most is None:
        return f"at least {group.at_least}"
    if not group.at_least:
        return f"at most {group.at_most}"
    return f"{group.at_least} to {group.at_most}"


def _compared(each: spec.Trait | spec.Filter) -> str:
    values = [shown(value) for value in each.values]
    match each.op:
        case "in":
            return f"{each.field} is one of {_listed(values)}"
        case "not_in":
            return f"{each.field} is none of {_listed(values)}"
        case "between":
            return f"{each.field} is from {values[0]} to {values[1]}"
        case "contains":
            return f"{each.field} contains {values[0]}"
        case "starts_with":
            return f"{each.field} starts with {values[0]}"
        case "is_set":
            return f"{each.field} is known"
        case "is_not_set":
            return f"{each.field} is not known"
    return f"{each.field} {_COMPARED[each.op]} {values[0]}"


def _aggregate(leaf: spec.Aggregate) -> str:
    if leaf.field is None:
        subject = f"the number of {leaf.stream}"
    else:
        subject = _MEASURED[leaf.function].format(field=leaf.field, stream=leaf.stream)
    where = _where(leaf.where)
    return f"{subject}{where} {window_phrase(leaf.window)} {_COMPARED[leaf.op]} {shown(leaf.value)}"


def _where(filters: tuple[spec.Filter, ...]) -> str:
    return f" where {' and '.join(map(_compared, filters))}" if filters else ""


def _sequence(leaf: spec.Sequence) -> str:
    steps = ", then ".join(f"an {_step(each)}" for each in leaf.steps)
    within = f", all within {duration_phrase(leaf.within)}" if leaf.within else ""
    without = f", with no {_step(leaf.without)} in between" if leaf.without else ""
    return f"there is {steps}{within}{without}, {window_phrase(leaf.window)}"


def _step(step: spec.Step) -> str:
    return f"event of {step.stream}{_where(step.where)}"


def _listed(values: tuple[str, ...] | list[str]) -> str:
    shown_values = list(values)
    if len(shown_values) > 5:
        return f"{', '.join(shown_values[:4])} and {len(shown_values) - 4:,} more"
    if len(shown_values) == 1:
        return shown_values[0]
    return f"{', '.join(shown_values[:-1])} or {shown_values[-1]}"


def _moment(moment: object) -> str:
    text = f"{moment:%Y-%m-%d %H:%M:%S}"
    return text.removesuffix(" 00:00:00")
