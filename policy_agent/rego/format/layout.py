"""Text under construction: lines, their indentation, and the comments that go with them.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from policy_agent.rego import ast

_INDENT: Final = "\t"
_METADATA: Final = "METADATA"


class UnexpectedCommentError(Exception):
    """Two comments belong at the end of one line; what holds them must stay as it was written."""


def is_metadata(comment: ast.Comment) -> bool:
    """Return whether a comment begins a METADATA block."""
    return comment.location.col == 1 and comment.text.strip().startswith(_METADATA)


class Layout:
    """Text, and the comments that it does not have yet.

    Attributes:
        pending: the comments that are still to be written, in order.
        trailing: the comment for the end of the present line.
        level: how deeply lines are indented.
        inline: whether a line has begun.
    """

    def __init__(self, comments: Sequence[ast.Comment]) -> None:
        self.pending = list(comments)
        self.trailing: ast.Comment | None = None
        self.level = 0
        self.inline = False
        self._parts: list[str] = []
        self._is_delayed = False

    def text(self) -> str:
        """Return the text, which ends with one line break."""
        return "".join(self._parts).rstrip("\n") + "\n"

    def mark(self) -> tuple[int, int, list[ast.Comment]]:
        """Return what `rewind` goes back to."""
        return len(self._parts), self.level, list(self.pending)

    def rewind(self, mark: tuple[int, int, list[ast.Comment]]) -> None:
        """Forget what was written since a mark."""
        length, self.level, self.pending = mark
        del self._parts[length:]

    def write(self, text: str) -> None:
        """Add text to the line."""
        self._parts.append(text)

    def start_line(self) -> None:
        """Begin a line."""
        self.inline = True
        self.write(_INDENT * self.level)

    def end_line(self) -> None:
        """End the line, with its comment unless that is to wait for the next one."""
        self.inline = False
        if self.trailing is not None and not self._is_delayed:
            self.write(f" {comment_text(self.trailing)}")
            self.trailing = None
        self._is_delayed = False
        self.write("\n")

    def blank_line(self) -> None:
        """End the line if one has begun, and leave one empty."""
        if self.inline:
            self.end_line()
        self.write("\n")

    def write_line(self, text: str) -> None:
        """Write a whole line."""
        if not self.inline:
            self.start_line()
        self.write(text)
        self.end_line()

    def start_sequence(self) -> None:
        """Begin the lines of a list; the comment of the present line waits for the first."""
        self._is_delayed = True
        self.end_line()
        self.level += 1
        self.start_line()

    def write_comments(self, comments: Sequence[ast.Comment]) -> None:
        """Write comments on lines of their own, with the gaps that they had."""
        in_metadata = False
        for index, comment in enumerate(comments):
            gap = comment.location.row - comments[index - 1].location.row if index else 0
            if gap > 1:
                self.blank_line()
                in_metadata = False
            elif gap == 1 and in_metadata and is_metadata(comment):
                self.blank_line()
            in_metadata = in_metadata or is_metadata(comment)
            self.write_line(comment_text(comment))

    def comments_before(self, row: int) -> list[ast.Comment]:
        """Return the comments above a row, when there are none only below it."""
        if row < 0:
            return []
        return [comment for comment in self.pending if comment.location.row < row]

    def insert_comments(self, row: int) -> None:
        """Write the comments above a row, and keep the one of that row for the line's end.

        Args:
            row: of what is written next, negative where nothing is known.

        Raises:
            UnexpectedCommentError: the line has a comment already.
        """
        if row < 0:
            return
        before = self.comments_before(row)
        here = [comment for comment in self.pending if comment.location.row == row]
        self.pending = [comment for comment in self.pending if comment.location.row > row]
        self.write_comments(before)
        if before and row - before[-1].location.row > 1:
            self.blank_line()
        if not here:
            return
        if self.trailing is not None:
            self.trailing = None
            raise UnexpectedCommentError
        self.trailing = here[-1]


def comment_text(comment: ast.Comment) -> str:
    """Return a comment as it is written."""
    return f"#{comment.text}"
