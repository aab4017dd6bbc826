# SPDX-License-Identifier: Apache-2.0
"""Emulates the part of a terminal that agentsh-trace uses; anything else is an error."""
import re

TOKEN = re.compile(r"\x1b\[(\?)?([0-9;]*)([A-Za-z])|([^\x1b])", re.S)


class Screen:
    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [[]]  # all rows so far; the screen shows the last ones
        self.y = self.x = 0
        self.wrap = True
        self.moves = 0  # how often the cursor moved up
        self.rest = ""

    def top(self):
        return max(0, len(self.lines) - self.rows)

    def feed(self, text):
        text, at = self.rest + text, 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                if re.fullmatch(r"\x1b(\[[?0-9;]*)?", text[at:]):
                    break  # an incomplete sequence
                raise ValueError(f"unknown: {text[at:at + 20]!r}")
            if match[4]:
                self.put(match[4])
            else:
                self.command(match[1], match[2], match[3])
            at = match.end()
        self.rest = text[at:]

    def command(self, private, number, letter):
        if private:
            if number != "7" or letter not in "hl":
                raise ValueError(f"unknown: ?{number}{letter}")
            self.wrap = letter == "h"
        elif letter == "A":
            self.moves += 1
            if self.y - int(number) < self.top():
                raise ValueError("above the screen")
            self.y -= int(number)
        elif letter == "B":
            self.y += int(number)
            if self.y >= len(self.lines):
                raise ValueError("below the last row")
        elif letter == "K" and number == "2":
            self.lines[self.y] = []
        elif letter != "m":
            raise ValueError(f"unknown: {number}{letter}")

    def down(self):
        self.y += 1
        if self.y == len(self.lines):
            self.lines.append([])

    def put(self, char):
        if char == "\r":
            self.x = 0
        elif char == "\n":
            self.down()
        elif char < " " or "\x7f" <= char < "\xa0":
            raise ValueError(f"control character {char!r}")
        else:
            if self.x == self.columns:
                if self.wrap:
                    self.down()
                    self.x = 0
                else:
                    self.x -= 1
            line = self.lines[self.y]
            line.extend(" " * (self.x + 1 - len(line)))
            line[self.x] = char
            self.x += 1

    def text(self):
        """All rows, including those that have left the screen."""
        return ["".join(line).rstrip() for line in self.lines]
