"""Functions of the prelude on vectors: with the compiler's vectors, and lane by lane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from opsin.backends.c.scalar_functions import SCALAR_FUNCTIONS
from opsin.base.errors import CompileError

FIELDS = "abcd"
ELEMENTS = {"f": "float", "i": "int32_t"}
MEMORY = {"f": "float", "i": "word"}
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^"}
COMPARISONS = {"lt": "<", "le": "<=", "eq": "=="}


@dataclass(frozen=True)
class VectorFunction:
    """Two definitions of a function, and the functions of single numbers that each calls."""

    vector: str
    scalar: str
    vector_calls: tuple[str, ...] = ()
    scalar_calls: tuple[str, ...] = ()


@cache
def vector_function(name: str) -> VectorFunction:
    """Return the function `name`, such as f4_add. Raise `CompileError` if there is none."""
    kind, _, operation = name.partition("_")
    return _Writer(kind[0], int(kind[1:])).write(name, operation)


class _Writer:
    def __init__(self, element: str, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        self.kind, self.fields = f"{element}{lanes}", FIELDS[:lanes]
        self.scalar, self.memory = ELEMENTS[element], MEMORY[element]
        self.ints = f"i{lanes}"

    def write(self, name: str, operation: str) -> VectorFunction:
        for prefix in ("load", "store", "gather", "scatter", "shuffle_", "reduce_"):
            if operation.startswith(prefix):
                return getattr(self, prefix.rstrip("_"))(name, operation.removeprefix(prefix))  # type: ignore[no-any-return]
        handler = getattr(self, operation, None)
        if handler is not None:
            return handler(name)  # type: ignore[no-any-return]
        if operation in COMPARISONS:
            return self.compare(name, COMPARISONS[operation])
        return self.elementwise(name, operation)

    # -- forms --------------------------------------------------------------------------------

    def function(self, head: str, vector: str, scalar: str, calls: tuple[str, ...] = ()) -> VectorFunction:
        """Return both definitions; each calls those of `calls` that its text contains."""
        by_form = [tuple(name for name in calls if f"{name}(" in text) for text in (vector, scalar)]
        return VectorFunction(f"INLINE {head} {{ {vector} }}", f"INLINE {head} {{ {scalar} }}", *by_form)

    def by_lane(self, kind: str, term: str) -> str:
        """Return statements that make a structure; `term` is that of a lane, with @ for its field."""
        return f"{kind} r; " + " ".join(f"r.{f} = {term.replace('@', f)};" for f in self.fields) + " return r;"

    def gathered(self, kind: str, term: str) -> str:
        """Return statements that make a vector; `term` is that of a lane, with @ for its number."""
        terms = ", ".join(term.replace("@", str(lane)) for lane in range(self.lanes))
        return f"{kind} r = {{{terms}}}; return r;"

    def head(self, name: str, result: str, arguments: str) -> str:
        kinds = f"{self.kind} " + f", {self.kind} ".join(arguments)
        return f"{result} {name}({kinds})"

    def elementwise(self, name: str, operation: str) -> VectorFunction:
        scalar = f"{self.element}_{operation}"
        if operation in OPERATORS and (self.element == "f" or operation == "div"):
            operator = OPERATORS[operation]
            body = self.by_lane(self.kind, f"a.@ {operator} b.@")
            return self.function(self.head(name, self.kind, "ab"), f"return a {operator} b;", body)
        if scalar not in SCALAR_FUNCTIONS:
            raise CompileError(f"C programs have no instruction {operation} of {self.kind}")
        unary = operation in ("sqrt", "floor", "abs")
        head = self.head(name, self.kind, "a" if unary else "ab")
        arguments = "a[@]" if unary else "a[@], b[@]"
        vector = self.gathered(self.kind, f"{scalar}({arguments})")
        if operation in OPERATORS:
            vector = f"return (i4)((i4_unsigned)a {OPERATORS[operation]} (i4_unsigned)b);"
        return self.function(
            head, vector, self.by_lane(self.kind, f"{scalar}({arguments})".replace("[@]", ".@")), (scalar,)
        )

    def compare(self, name: str, operator: str) -> VectorFunction:
        body = self.by_lane(self.ints, f"-(a.@ {operator} b.@)")
        return self.function(self.head(name, self.ints, "ab"), f"return a {operator} b;", body)

    # -- arithmetic ---------------------------------------------------------------------------

    def fma(self, name: str) -> VectorFunction:
        body = f"{self.kind} p, r; " + " ".join(f"p.{f} = a.{f} * b.{f};" for f in self.fields)
        body += " " + " ".join(f"r.{f} = p.{f} + c.{f};" for f in self.fields) + " return r;"
        return self.function(self.head(name, self.kind, "abc"), f"{self.kind} p = a * b; return p + c;", body)

    def neg(self, name: str) -> VectorFunction:
        return self.function(self.head(name, self.kind, "a"), "return -a;", self.by_lane(self.kind, "-a.@"))

    def abs(self, name: str) -> VectorFunction:
        vector = "i4 m = {0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff}; return (f4)((i4)a & m);"
        return self.function(self.head(name, self.kind, "a"), vector, self.by_lane(self.kind, "f_abs(a.@)"), ("f_abs",))

    def min(self, name: str) -> VectorFunction:
        return self.choose(name, "min", "<")

    def max(self, name: str) -> VectorFunction:
        return self.choose(name, "max", ">")

    def choose(self, name: str, operation: str, operator: str) -> VectorFunction:
        """Return `a` where the comparison holds, otherwise `b`, which is what SSE's instructions do."""
        head = self.head(name, self.kind, "ab")
        body = self.by_lane(self.kind, f"a.@ {operator} b.@ ? a.@ : b.@")
        general = f"i4 m = a {operator} b; return ({self.kind})(((i4)a & m) | ((i4)b & ~m));"
        function = self.function(head, general, body)
        if self.element != "f":
            return function
        vector = (
            f"#ifdef __SSE2__\nINLINE {head} {{ return __builtin_ia32_{operation}ps(a, b); }}\n"
            f"#else\n{function.vector}\n#endif"
        )
        return VectorFunction(vector, function.scalar)

    def select(self, name: str) -> VectorFunction:
        head = f"{self.kind} {name}({self.ints} m, {self.kind} a, {self.kind} b)"
        vector = f"return ({self.kind})(((i4)a & m) | ((i4)b & ~m));"
        return self.function(head, vector, self.by_lane(self.kind, "m.@ ? a.@ : b.@"))

    def shl(self, name: str) -> VectorFunction:
        return self.shift(name, "shl", "<<")

    def shr(self, name: str) -> VectorFunction:
        return self.shift(name, "shr", ">>")

    def shift(self, name: str, operation: str, operator: str) -> VectorFunction:
        scalar = f"i_{operation}"
        vector = f"return (i4)((i4_unsigned)a {operator} (i4_unsigned)b);"
        body = self.by_lane(self.kind, f"{scalar}(a.@, b.@)")
        return self.function(self.head(name, self.kind, "ab"), vector, body, (scalar,))

    # -- lanes --------------------------------------------------------------------------------

    def all(self, name: str) -> VectorFunction:
        head = f"{self.kind} {name}({self.scalar} a)"
        return self.function(head, self.gathered(self.kind, "a"), self.by_lane(self.kind, "a"))

    def iota(self, name: str) -> VectorFunction:
        numbers = ", ".join(map(str, range(self.lanes)))
        body = f"{self.kind} r = {{{numbers}}}; return r;"
        return self.function(f"{self.kind} {name}(void)", body, body)

    def to_float(self, name: str) -> VectorFunction:
        return self.converted(name, "i_to_float", f"f{self.lanes}")

    def to_int(self, name: str) -> VectorFunction:
        return self.converted(name, "f_to_int", self.ints)

    def converted(self, name: str, scalar: str, result: str) -> VectorFunction:
        vector = self.gathered(result, f"{scalar}(a[@])")
        head = self.head(name, result, "a")
        return self.function(head, vector, self.by_lane(result, f"{scalar}(a.@)"), (scalar,))

    def as_float(self, name: str) -> VectorFunction:
        kind = f"f{self.lanes}"
        body = self.by_lane(kind, "i_as_float(a.@)")
        return self.function(self.head(name, kind, "a"), f"return ({kind})a;", body, ("i_as_float",))

    def as_int(self, name: str) -> VectorFunction:
        body = self.by_lane(self.ints, "f_as_int(a.@)")
        return self.function(self.head(name, self.ints, "a"), f"return ({self.ints})a;", body, ("f_as_int",))

    def shuffle(self, name: str, picks: str) -> VectorFunction:
        numbers = [int(pick) for pick in picks.split("_")]
        result = f"{self.element}{len(numbers)}"
        if len(numbers) not in (2, 4):
            raise CompileError(f"C programs have no vectors of {len(numbers)} lanes")
        sources = [f"{'ab'[n // self.lanes]}.{FIELDS[n % self.lanes]}" for n in numbers]
        head = self.head(name, result, "ab")
        vectors = [f"{'ab'[n // self.lanes]}[{n % self.lanes}]" for n in numbers]
        vector = f"{result} r = {{{', '.join(vectors)}}}; return r;"
        body = f"{result} r; " + " ".join(f"r.{f} = {s};" for f, s in zip(FIELDS[: len(numbers)], sources, strict=True))
        unused = [name for name in "ab" if not any(s.startswith(name) for s in sources)]
        void = "".join(f" (void){name};" for name in unused)
        body = f"{body}{void} return r;"
        if result != self.kind:
            return self.function(head, vector, body)
        order = ", ".join(map(str, numbers))
        text = (
            f"#if defined(__clang__) || __GNUC__ >= 12\n"
            f"INLINE {head} {{ return __builtin_shufflevector(a, b, {order}); }}\n"
            f"#else\nINLINE {head} {{ i4 m = {{{order}}}; return __builtin_shuffle(a, b, m); }}\n#endif"
        )
        return VectorFunction(text, f"INLINE {head} {{ {body} }}")

    def reduce(self, name: str, operation: str) -> VectorFunction:
        """Combine the first half of the lanes with the second, until one is left."""
        head = self.head(name, self.scalar, "a")
        scalar = f"{self.element}_{operation}"
        plain = self.element == "f" and operation == "add"

        def combine(a: str, b: str) -> str:
            return f"{a} + {b}" if plain else f"{scalar}({a}, {b})"

        calls = () if plain else (scalar,)
        if self.lanes == 2:
            return self.function(head, f"return {combine('a[0]', 'a[1]')};", f"return {combine('a.a', 'a.b')};", calls)

        def body(a: str, b: str, c: str, d: str) -> str:
            return f"{self.scalar} x = {combine(a, c)}, y = {combine(b, d)}; return {combine('x', 'y')};"

        return self.function(head, body("a[0]", "a[1]", "a[2]", "a[3]"), body("a.a", "a.b", "a.c", "a.d"), calls)

    # -- memory -------------------------------------------------------------------------------

    def load(self, name: str, count: str) -> VectorFunction:
        head = f"{self.kind} {name}(const {self.memory} *p)"
        if not count:
            vector = f"return *(const {self.kind}_memory *)p;"
            return self.function(head, vector, f"{self.kind} r = {{{self.elements(self.lanes)}}}; return r;")
        body = f"{self.kind} r = {{{self.elements(int(count))}}}; return r;"
        return self.function(head, body, body)

    def gather(self, name: str, count: str) -> VectorFunction:
        head = f"{self.kind} {name}(const {self.memory} *p, idx s)"
        body = f"{self.kind} r = {{{self.elements(int(count), ' * s')}}}; return r;"
        return self.function(head, body if int(count) > 1 else body.replace(" r =", " r =", 1), body)

    def elements(self, count: int, stride: str = "") -> str:
        """Return the first `count` elements at p, and zeros for the other lanes."""
        zero = "0.0f" if self.element == "f" else "0"
        present = [f"p[{lane}{stride}]" if lane > 1 or not stride else ("p[0]", "p[s]")[lane] for lane in range(count)]
        return ", ".join(present + [zero] * (self.lanes - count))

    def store(self, name: str, count: str) -> VectorFunction:
        head = f"void {name}({self.memory} *p, {self.kind} a)"
        number = int(count) if count else self.lanes
        scalar = " ".join(f"p[{lane}] = a.{FIELDS[lane]};" for lane in range(number))
        vector = " ".join(f"p[{lane}] = a[{lane}];" for lane in range(number))
        return self.function(head, vector if count else f"*({self.kind}_memory *)p = a;", scalar)

    def scatter(self, name: str, count: str) -> VectorFunction:
        head = f"void {name}({self.memory} *p, idx s, {self.kind} a)"
        scalar = " ".join(f"p[{lane} * s] = a.{FIELDS[lane]};" for lane in range(int(count)))
        vector = " ".join(f"p[{lane} * s] = a[{lane}];" for lane in range(int(count)))
        return self.function(head, vector, scalar)
