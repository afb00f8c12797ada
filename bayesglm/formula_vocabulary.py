"""What strict mode knows by name: functions of NumPy's and patsy's, and what each of their arguments may be."""

from collections.abc import Mapping

#: What an expression is: one value a row, a number or a text by itself, text a row, a list, None, a contrast.
ROWS, NUMBER, TEXT, TEXT_ROWS, LIST, NONE, CODING = range(7)
NUMERIC = frozenset((ROWS, NUMBER))
SCALAR = frozenset((NUMBER, NONE))
ANY_ROWS = frozenset((ROWS, TEXT_ROWS))
VALUES = frozenset((ROWS, TEXT_ROWS, NUMBER, TEXT))
LISTS = frozenset((LIST, NONE))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: NumPy's functions that compute each value by itself, with as many arguments as they have inputs.
UFUNCS = _words(
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or ceil cbrt cos cosh "
    "deg2rad degrees divide equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod greater "
    "greater_equal heaviside hypot invert isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp "
    "logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal "
    "positive power rad2deg radians reciprocal remainder rint sign signbit sin sinh sqrt square subtract tan tanh "
    "true_divide trunc"
)
#: Types of NumPy's that convert numbers.
CASTS = _words("bool_ float32 float64 int32 int64")
#: Constants of NumPy's.
CONSTANTS = _words("e euler_gamma inf nan pi")
Parameters = Mapping[str, frozenset[int]]
# Other functions: what each parameter may be, in order; those after "*" only by name.
OTHERS: Mapping[str, Parameters] = {
    "around": {"a": NUMERIC, "decimals": SCALAR},
    "clip": {"a": NUMERIC, "a_min": NUMERIC | {NONE}, "a_max": NUMERIC | {NONE}, "*": frozenset()}
    | {"min": NUMERIC | {NONE}, "max": NUMERIC | {NONE}},
    "interp": {"x": NUMERIC, "xp": frozenset((LIST,)), "fp": frozenset((LIST,))}
    | {"left": SCALAR, "right": SCALAR, "period": SCALAR},
    "isin": {"element": ANY_ROWS, "test_elements": frozenset((LIST,)), "*": frozenset(), "invert": SCALAR},
    "nan_to_num": {"x": NUMERIC, "*": frozenset(), "nan": SCALAR, "posinf": SCALAR, "neginf": SCALAR},
    "round": {"a": NUMERIC, "decimals": SCALAR},
    "where": {"condition": NUMERIC, "x": VALUES, "y": VALUES},
}
_REFERENCE = frozenset((NUMBER, TEXT, NONE))
_SPLINE: Parameters = {"x": frozenset((ROWS,)), "df": SCALAR, "knots": LISTS}
_BOUNDS: Parameters = {"lower_bound": SCALAR, "upper_bound": SCALAR}
CUBIC = {**_SPLINE, **_BOUNDS, "constraints": LISTS | {TEXT}}
_SCALE: Parameters = {"x": frozenset((ROWS,)), "center": SCALAR, "rescale": SCALAR, "ddof": SCALAR}
PATSY: Mapping[str, Parameters] = {
    "I": {"x": ANY_ROWS},
    "Q": {"name": frozenset((TEXT,))},
    "C": {"data": ANY_ROWS, "contrast": LISTS | {CODING}, "levels": LISTS},
    "Treatment": {"reference": _REFERENCE},
    "Sum": {"omit": _REFERENCE},
    "Poly": {"scores": LISTS},
    "Helmert": {},
    "Diff": {},
    "center": {"x": frozenset((ROWS,))},
    "standardize": _SCALE,
    "scale": _SCALE,
    "bs": {**_SPLINE, "degree": SCALAR, "include_intercept": SCALAR, **_BOUNDS},
    "cr": CUBIC,
    "cc": CUBIC,
}
CONTRASTS = _words("Treatment Sum Poly Helmert Diff")
SPLINES = _words("bs cr cc")
