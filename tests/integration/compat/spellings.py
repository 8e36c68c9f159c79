"""How values may be spelled in YAML, and what only looks like a spelling of one."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


TRUTHS = _words("yes no on off y n Y N true TRUE True tRue yEs nO")
NULLS = ["", "~", "null", "Null", "NULL", "nUll", "''", '""', "'~'", '"null"', "!!null", "!!null ''"]
WHOLE_NUMBERS = [
    *_words("0 1 -0 +0 +1 10 0123 +0123 0o17 0O17 0x1F 0X1f 0b101 0B11 +0b1 1_000 _1 1_ 1__0 0x_1 0x_ 0_1 0_ 0b 0x 0o"),
    *_words("9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 1e2 1E3 2.0 1.5e1 0.0"),
    *_words("99999999999999999999999 0xFFFFFFFFFFFFFFFF 0x1FFFFFFFFFFFFFFFF 08 089 5. 1e+3 .5e3"),
    *("!!int 5", "!!float 5", "9" * 400, "0b" + "1" * 70, "0" * 80 + "7"),
]
NEGATIVE_NUMBERS = _words("-1 -0123 -0x1f -9223372036854775808 -9223372036854775809 -_1 -1s -5s -1h-1m -1.0")
FRACTIONS = [
    *_words("1.5 .5 -.5 +.5 . .. -. 1e-3 1e 1e400 -1e400 1_0.5 1.5_0 1._5 .5_0 ._5 ._ .inf .Inf -.inf +.INF .nan .NaN"),
    *_words("+.nan .iNf 0x1p4 1.2.3"),
]
DURATIONS = [
    *_words("10s 1h30m 1.5h 0s 100ms 1us 1µs .5s 5.s +5s 1e5s 1_0s 1h-1m s 1m1 '10s' \"10s\" '10' '0' 2562048h"),
    "1h 30m",
]
WORDS = [
    *_words("x a:b http://x:1/y #b a#b = << - -- -a --- ... ? ?a : :a :: :5000 ! & * @a `a %a a, a] a} {a [a a'b"),
    *_words('a"b a&b a*b a!b a|b ~x é 日本 😀 12:30 190:20:30 2024-01-01 2024-01-01T00:00:00Z INFO debug a\\n a\\'),
    *_words("[::]:5000 '[::]:5000' *nobody >x |"),
    *["\ufeff", "\x01", "\x7f", "\x80", "\xa0", "\ufffe", "\ue000", "\u0085", "\u2028", "a\u0085b", "a\u2028b"],
    *["a b", "a: b", "a #b", "a\tb", "it''s", "'it''s'", "'a", '"a', "'a' 'b'", '"a" b', "- a", "null x", "~ x"],
    *["2024-01-01 10:00:00", "2001-12-14t21:59:43.10-05:00", "a : b", "\ta", "a\t", '"a"\t', "'a'\t# c", "a\t#c"],
    *["a" * 2000],
]
QUOTED = [
    *['"a\\tb"', '"\\x41\\u00e9\\U0001F600"', '"\\U00110000"', '"\\ud800"', '"\\q"', '"\\N\\_\\L\\P"', '"\\ "'],
    *['"\\e\\0\\a\\b\\v\\f\\r"', '"\\x4"', "'\\n'", '"a\n   b"', "'a\n\n   b'", '"a\\\n   b"', '"yes"', "'5'", "'0x5'"],
]
TAGGED = [
    *[
        "!!str 5",
        "!!str ~",
        "!!str",
        '!!int "5"',
        "!!int x",
        "!!float x",
        "!!float yes",
        '!!float "5"',
        "!!bool yes",
        "!!bool 1",
    ],
    *["!!null x", "!!binary aGVsbG8=", "!!binary xx", "!!timestamp 2001-01-01", "!x 5", '!x "y"', "! 5", '! "5"'],
    *["!<tag:yaml.org,2002:str> 5", "!<tag:yaml.org,2002:int> 5", "!<x> 5", "!!merge <<", "!!python/object:a.b {}"],
    *["!!seq [a]", "!!map {a: b}", "!!set {a, b}", "!x [a]", "!!str [a]", "&a x", "&a", "&a !!str 5", "!!str &a 5"],
]
COLLECTIONS = [
    *["[]", "{}", "[a, b]", "{a: b}", "[1, 0x5]", "[~]", "[yes]", "[[a]]", "[,]", "[a,]", "[a,,b]", "{a}", "{a,b}"],
    *["{a: }", "{a:1}", '{"a":1}', "{'a': 1}", "[a: 1]", "[a: 1, b]", '["a":1]', "{? a : b}", "{[a]: b}", "{a b: c}"],
    *["[a,\tb]", "[\ta\t,\tb\t]\t", "{a:\tb}", "{\ta:\tb\t}", "[a\n   , b]", "{a: b, a: c}", "[a, b] c", "[*nobody]"],
    *["{<<: {a: b}, a: c}", "{a: c, <<: {a: b}}", "{<<: [{a: b}, {a: c, d: e}]}", "{<<: [a]}", "{'<<': a}", "{<<: x}"],
    *["[a]]", "{a: b}}", "[a", "{a: b", "[a}", "{a: b: c}", "[-, a]", "[- a]", "[a#b, #c\n   ]", "[::]"],
]
BLOCKS = [
    *[
        f"{sign}{how}\n     a\n\n      b\n     c\n\n"
        for sign in "|>"
        for how in ("", "-", "+", "1", "2-", " # c", "#c")
    ],
    *["|0\n     a", "|9\n     a", "|10\n     a", "|-1\n     a", "|\ta\n     b", "|\n\ta", "|\n     \ta\n     b\t", "|"],
    *[
        "|\n    a",
        "|\n a",
        "|\na",
        "a\n     b",
        "a\n\n     b",
        "a # c\n     b",
        "a\n     # c\n     b",
        "\n     a",
        "\n\n",
    ],
]
SCALARS = [
    *TRUTHS,
    *NULLS,
    *WHOLE_NUMBERS,
    *NEGATIVE_NUMBERS,
    *FRACTIONS,
    *DURATIONS,
    *WORDS,
    *QUOTED,
    *TAGGED,
    *BLOCKS,
]
