"""Write terms.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from policy_agent.rego import ast
from policy_agent.rego.builtins.go_text import quote
from policy_agent.rego.check.signatures import INFIX
from policy_agent.rego.check.term_text import term_text
from policy_agent.rego.compile.nodes import operator_name
from policy_agent.rego.format.elements import by_lines, distinct, first_term, is_union
from policy_agent.rego.format.layout import Layout, UnexpectedCommentError, comment_text
from policy_agent.rego.format.written import Written, closing_row
from policy_agent.rego.lexer import KEYWORDS

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_NUMBER: Final = re.compile(r"-?\s*[.0-9]")
_MEMBERS: Final = {"internal.member_2": 2, "internal.member_3": 3}
_BRACES: Final = "{}"


class TermWriter:
    """Writes terms; `written` says how they were written.

    Attributes:
        keywords: the words that are no names.
        keeps_final_comment: a comment on the last line of text that is kept as it was goes with it.
        wrapped_term: a term that is to be put in parentheses when it comes.
    """

    def __init__(self, out: Layout, written: Written, keywords: frozenset[str] = KEYWORDS) -> None:
        self.out = out
        self.written = written
        self.keywords = keywords
        self.keeps_final_comment = False
        self.wrapped_term: ast.Term | None = None

    def term(self, term: ast.Term) -> None:
        """Write a term, as it was written where its comments do not fit in.

        Raises:
            UnexpectedCommentError: that is so.
        """
        if not self.out.pending:
            self.term_in(term)
            return
        mark = self.out.mark()
        try:
            self.term_in(term)
        except UnexpectedCommentError:
            self.out.rewind(mark)
            trailing = self.out.trailing
            first, last = term.location.row, self.written.end_row(term)
            if trailing is not None and first <= trailing.location.row <= last:
                self.out.trailing = None
            self.unformatted(term)
            raise

    def unformatted(self, node: ast.Term | ast.Head) -> None:
        """Write a node's text as it is, with the comments in it."""
        text = self.written.text(node)
        last_row = node.location.row + text.count("\n")
        self.out.write(text)
        kept = []
        for comment in self.out.pending:
            if self.keeps_final_comment and comment.location.row == last_row:
                self.out.write(f" {comment_text(comment)}")
            elif comment.location.row >= last_row:
                kept.append(comment)
        self.out.pending = kept

    def term_in(self, term: ast.Term, *, parentheses: bool = False) -> None:
        """Write a term; one between operands is in parentheses if it is an operation itself."""
        if self.wrapped_term is term:
            self.wrapped_term = None
            parentheses = True
        self.out.insert_comments(term.location.row)
        if not self.out.inline:
            self.out.start_line()
        if isinstance(term, ast.Call):
            self._call(term, parentheses=parentheses)
        else:
            self._plain(term)
        if not self.out.inline:
            self.out.start_line()

    def reference(self, ref: ast.Ref) -> None:
        """Write a reference."""
        is_grouped = isinstance(ref.head, ast.Call) and self.written.is_in_parentheses(ref.head)
        if isinstance(ref.head, ast.Var):
            self.out.insert_comments(ref.head.location.row)
            if not self.out.inline:
                self.out.start_line()
            self.out.write(_variable(ref.head.name))
            if not self.out.inline:
                self.out.start_line()
        else:
            self.term_in(ref.head, parentheses=is_grouped)
        for part in ref.path:
            self._segment(part)

    def plain_call(self, call: ast.Call) -> None:
        """Write a call with its operands in parentheses."""
        self.reference(call.operator)
        self.out.write("(")
        try:
            # Where the parentheses are is not known of a call's operator.
            self.sequence(call.args, "", call.location.row, -1, self._argument)
        finally:
            self.out.write(")")

    def membership(self, args: Sequence[ast.Term], *, parentheses: bool) -> None:
        """Write `value in collection` or `key, value in collection`."""
        is_grouped = parentheses and len(args) > _MEMBERS["internal.member_2"]
        self.out.write("(" if is_grouped else "")
        try:
            for index, arg in enumerate(args):
                if index:
                    self.out.write(" in " if index == len(args) - 1 else ", ")
                self.term_in(arg, parentheses=True)
        finally:
            self.out.write(")" if is_grouped else "")

    def sequence(
        self,
        elements: Sequence[T],
        text: str,
        row: int,
        close: int,
        write: Callable[[T], None],
    ) -> None:
        """Write elements between brackets, on as many lines as they were on.

        Args:
            elements: terms or pairs of them.
            text: of what holds them.
            row: of its beginning.
            close: row of the closing bracket.
            write: writes one.

        Raises:
            UnexpectedCommentError: a comment does not fit in.
        """
        lines = by_lines(elements, row)
        is_broken = len(lines) > 1
        if not is_broken:
            if any(row < comment.location.row < close for comment in self.out.pending):
                raise UnexpectedCommentError
            if elements:
                cut = text.find(self.written.text(first_term(lines[0][0])))
                is_broken = cut > 0 and text[:cut].find("\n") > 0
        if is_broken:
            self.out.start_sequence()
        for index, line in enumerate(lines):
            if index:
                self.out.write(",")
                self.out.end_line()
                self.out.start_line()
            for position, element in enumerate(line):
                self.out.write(", " if position else "")
                write(element)
        if is_broken:
            self.out.write(",")
            self.out.end_line()
            self.out.insert_comments(close)
            self.out.level -= 1
            self.out.start_line()

    def expression(self, expr: ast.Expr) -> None:
        """Write an expression, which terms may hold."""
        raise NotImplementedError

    def body_in(self, brackets: str, body: ast.Body, row: int, text: str, opened: int) -> None:
        """Write the body of a comprehension; see `ExpressionWriter`."""
        raise NotImplementedError

    def _plain(self, term: ast.Term) -> None:
        match term:
            case ast.Scalar():
                self._scalar(term)
            case ast.Var(name):
                self.out.write(_variable(name))
            case ast.Ref():
                self.reference(term)
            case ast.TemplateString():
                self._template(term)
            case ast.ArrayTerm() | ast.SetTerm() | ast.ObjectTerm():
                self._collection(term)
            case ast.ArrayComprehension(inner, body):
                self._comprehension("[]", inner, body, term)
            case ast.SetComprehension(inner, body):
                self._comprehension(_BRACES, inner, body, term)
            case ast.ObjectComprehension():
                self._object_comprehension(term)

    def _collection(self, term: ast.ArrayTerm | ast.SetTerm | ast.ObjectTerm) -> None:
        match term:
            case ast.ArrayTerm(items):
                self._list(items, term, "[]")
            case ast.SetTerm(items) if not items:
                self.out.write("set()")
                self.out.insert_comments(self.written.closing_row(term, "()"))
            case ast.SetTerm(items):
                self._list(distinct(items), term, _BRACES)
            case ast.ObjectTerm(pairs):
                self._object(pairs, term)

    def _scalar(self, term: ast.Scalar) -> None:
        text = self.written.text(term)
        if isinstance(term.value, str):
            quotes = re.search(r"([\"`]).*\1$", text, re.DOTALL)
            # What was a name, as in `p.q`, is written as a string where names cannot stand.
            self.out.write(quotes[0] if quotes else quote(term.value))
        elif isinstance(term.value, bool) or term.value is None:
            self.out.write(term_text(term))
        else:
            self.out.write("".join(text.split()) if _NUMBER.match(text) else str(term.value))

    def segment_text(self, name: str, *, is_quoted: bool = False) -> str:
        """Return a string that is part of a path."""
        if _NAME.fullmatch(name) and not (name in self.keywords and is_quoted):
            return f".{name}"
        return f"[{quote(name)}]"

    def _segment(self, part: ast.Term) -> None:
        match part:
            case ast.Scalar(str() as name):
                is_quoted = self.written.text(part).startswith('"')
                self.out.write(self.segment_text(name, is_quoted=is_quoted))
            case ast.Var(name):
                self.out.write(f"[{_variable(name)}]")
            case _:
                self.out.write("[")
                try:
                    self.term(part)
                except UnexpectedCommentError:
                    # The closing bracket must not become part of the comment.
                    self.out.write("\n")
                self.out.write("]")

    def _call(self, call: ast.Call, *, parentheses: bool) -> None:
        name = operator_name(call.operator)
        infix = INFIX.get(name)
        if name in _MEMBERS and len(call.args) == _MEMBERS[name]:
            self.membership(call.args, parentheses=True)
        elif infix is None or name in _MEMBERS:
            self.plain_call(call)
        else:
            left, right = call.args
            self.out.write("(" if parentheses else "")
            self.term_in(left, parentheses=True)
            self.out.write(f" {infix} ")
            self.term_in(right, parentheses=True)
            self.out.write(")" if parentheses else "")

    def _list(self, items: Sequence[ast.Term], term: ast.Term, brackets: str) -> None:
        text, row = self.written.text(term), term.location.row
        self.out.write(brackets[0])
        try:
            self.sequence(items, text, row, closing_row(text, row, brackets), self._item)
        finally:
            self.out.write(brackets[1])

    def _object(self, pairs: Sequence[tuple[ast.Term, ast.Term]], term: ast.Term) -> None:
        text, row = self.written.text(term), term.location.row
        self.out.write("{")
        try:
            self.sequence(pairs, text, row, closing_row(text, row, _BRACES), self._pair)
        finally:
            self.out.write("}")

    def _item(self, term: ast.Term) -> None:
        self._wrapped(term, parentheses=is_union(term))

    def _argument(self, term: ast.Term) -> None:
        self._wrapped(term, parentheses=is_union(term) and self.written.is_in_parentheses(term))

    def _pair(self, pair: tuple[ast.Term, ast.Term]) -> None:
        key, value = pair
        self._wrapped(key, parentheses=is_union(key))
        self.out.write(": ")
        self._wrapped(value, parentheses=is_union(value))

    def _wrapped(self, term: ast.Term, *, parentheses: bool) -> None:
        self.out.write("(" if parentheses else "")
        try:
            self.term(term)
        finally:
            self.out.write(")" if parentheses else "")

    def _comprehension(
        self, brackets: str, inner: ast.Term, body: ast.Body, term: ast.Term
    ) -> None:
        self.out.write(brackets[0])
        try:
            self._comprehended(brackets, inner, inner.location.row, body, term)
        finally:
            self.out.write(brackets[1])

    def _object_comprehension(self, term: ast.ObjectComprehension) -> None:
        self.out.write("{")
        try:
            self._wrapped(term.key, parentheses=is_union(term.key))
            self.out.write(": ")
            # The value begins where the comprehension does, so that it stays beside the key.
            self._comprehended(_BRACES, term.value, term.location.row, term.body, term)
        finally:
            self.out.write("}")

    def _comprehended(
        self, brackets: str, inner: ast.Term, row: int, body: ast.Body, term: ast.Term
    ) -> None:
        if row > term.location.row:
            self.out.end_line()
            self.out.start_line()
        is_grouped = isinstance(inner, ast.Call) and (
            is_union(inner) or self.written.is_in_parentheses(inner)
        )
        self.term_in(inner, parentheses=is_grouped)
        self.out.write(" |")
        self.body_in(brackets, body, row, self.written.text(term), term.location.row)

    def _template(self, term: ast.TemplateString) -> None:
        mark = "`" if term.multi_line else '"'
        self.out.write(f"${mark}")
        for index, part in enumerate(term.parts):
            if isinstance(part, ast.Expr):
                following = term.parts[index + 1] if index + 1 < len(term.parts) else None
                self._template_expression(part, following)
            elif isinstance(part.value, str):
                text = part.value if term.multi_line else quote(part.value)[1:-1]
                self.out.write(_escaped_braces(text))
            else:
                self.out.write(term_text(part))
        self.out.write(mark)

    def _template_expression(self, expr: ast.Expr, following: Any) -> None:
        self.out.write("{")
        self.out.level += 1
        if self.out.trailing is not None:
            self.out.end_line()
            self.out.start_line()
        elif before := self.out.comments_before(expr.location.row):
            self.out.write(" ")
            self.out.inline = True
            self.out.write_comments(before)
            self.out.pending = self.out.pending[len(before) :]
        self.expression(expr)
        if following is not None and (after := self.out.comments_before(following.location.row)):
            self.out.end_line()
            self.out.write_comments(after)
            self.out.pending = self.out.pending[len(after) :]
            self.out.start_line()
        self.out.write("}")
        self.out.level -= 1


def _variable(name: str) -> str:
    return "_" if name.startswith("$") else name


def _escaped_braces(text: str) -> str:
    return re.sub(r"(?<!\\)\{", r"\\{", text)
