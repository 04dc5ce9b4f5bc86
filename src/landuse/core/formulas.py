"""Formulas of spectral indices: text over names of bands, in numbers, + - * / ** and parentheses, and nothing else."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Formula = Callable[[Mapping[str, Any]], Any]  # band -> reflectance, as arrays of one shape -> values

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_USUAL = (0.01, 0.05, 0.2, 0.5, 1.0)  # reflectances: of water, vegetation, soil and clouds


def names(formula: str) -> list[str]:
    """What a formula is of, in its order."""
    nodes = [node for node in ast.walk(parsed(formula)) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(node.id for node in sorted(nodes, key=lambda node: node.col_offset)))


def read(formula: str) -> Formula:
    """A function that computes a formula; raises ValueError where it holds anything else than formulas may."""
    return _function(parsed(formula))


def limits(formula: str) -> tuple[float, float]:
    """Between which values an index tells something: beyond are quotients by next to nothing.

    -1 and 1, or what 98 % of all combinations of usual reflectances come to, where that is more.
    """
    bands = names(formula)
    grid = np.meshgrid(*[_USUAL] * len(bands))
    with np.errstate(all="ignore"):
        values = read(formula)(dict(zip(bands, grid, strict=True)))
    low, high = np.percentile(values[np.isfinite(values)], [1, 99])
    return min(float(low), -1.0), max(float(high), 1.0)


def parsed(formula: str) -> ast.expr:
    """The syntax tree of a formula; raises ValueError where it is no expression."""
    try:
        return ast.parse(formula, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{formula!r} is no formula: {error.msg}") from None


def _function(node: ast.expr) -> Formula:
    match node:
        case ast.Name(id=name):
            return lambda of: of[name]
        case ast.Constant(value=number) if type(number) in (int, float):
            return lambda _: number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            positive = _function(operand)
            return lambda of: -positive(of)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second, join = _function(left), _function(right), _OPERATORS[type(op)]
            return lambda of: join(first(of), second(of))
    raise ValueError(f"{ast.unparse(node)!r} is more than numbers, names, + - * / ** and parentheses")
