"""The blocks around the place where source is written, and how to leave them.

Pure. Leaving a block is `continue` or `break` where no other loop is in between; otherwise a flag
is set and every loop on the way out looks at it. A part, an inner function, is left by returning
the number of the block to leave.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field

from policy_agent.rego.codegen.writer import SourceWriter


class Construct(Enum):
    """What a block of the plan is in Python."""

    NOTHING = "nested conditions"
    LABEL = "while True"
    LOOP = "for"
    PART = "def"


class Frame(Struct, eq=False):
    """One block being written.

    Attributes:
        counts: whether breaks of the plan count it as a level; a part is none.
        leaving: frames further out that code inside this one wants to leave.
        flagged: whether this frame needs a flag.
        returns: whether code inside this part wants the plan function to return.
    """

    number: int
    construct: Construct
    mark: tuple[int, int] = (0, 0)
    counts: bool = True
    leaving: list[Frame] = field(default_factory=list)
    flagged: bool = False
    returns: bool = False

    @property
    def flag(self) -> str:
        """Return the name of the variable that says to leave this block."""
        return f"leave{self.number}"


class Frames:
    """The stack of blocks; index 0 is the outermost."""

    def __init__(self) -> None:
        self._stack: list[Frame] = []
        self._next_number = 1

    def push(self, construct: Construct, writer: SourceWriter, *, counts: bool = True) -> Frame:
        """Enter a block."""
        frame = Frame(self._next_number, construct, writer.mark(), counts)
        self._next_number += 1
        self._stack.append(frame)
        return frame

    def pop(self, writer: SourceWriter) -> Frame:
        """Leave the innermost block, after its last line; return it."""
        frame = self._stack.pop()
        if frame.flagged:
            writer.insert(frame.mark, f"{frame.flag} = False")
        return frame

    @property
    def loop_depth(self) -> int:
        """Return how many Python loops are open in the current function."""
        depth = 0
        for frame in reversed(self._stack):
            if frame.construct is Construct.PART:
                break
            depth += frame.construct in (Construct.LABEL, Construct.LOOP)
        return depth

    @property
    def part(self) -> Frame | None:
        """Return the part that the current place is in, None outside of parts."""
        return next((f for f in reversed(self._stack) if f.construct is Construct.PART), None)

    def at_level(self, level: int) -> Frame:
        """Return the block `level` levels out; the outermost for a level beyond it."""
        counting = [frame for frame in self._stack if frame.counts]
        return counting[max(len(counting) - 1 - level, 0)]

    def leave(self, target: Frame, writer: SourceWriter) -> None:
        """Write the jump that leaves `target`, a LABEL or LOOP, from the current place."""
        for frame in reversed(self._stack):
            if frame is target:
                writer.line("continue" if frame.construct is Construct.LOOP else "break")
                return
            if frame.construct is Construct.NOTHING:
                continue
            if target not in frame.leaving:
                frame.leaving.append(target)
            if frame.construct is Construct.PART:
                writer.line(f"return {target.number}")
            else:
                target.flagged = True
                writer.line(f"{target.flag} = True")
                writer.line("break")
            return

    def pass_on(self, closed: Frame, writer: SourceWriter) -> None:
        """Write what follows a closed loop: go on leaving what code inside wants to leave."""
        for target in closed.leaving:
            with writer.block(f"if {target.flag}:"):
                self.leave(target, writer)
