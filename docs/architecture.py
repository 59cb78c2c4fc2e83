"""Architecture: draw the rooms of the package into docs/architecture.md, from its code.

    python docs/architecture.py

Reads  the layers in pyproject.toml, and the imports of tokenkit/. Writes the part of docs/architecture.md
between the two markers; tests/docs/test_architecture.py fails where the page and the code differ.
"""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tokenkit"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by docs/architecture.py -->", "<!-- end of what is drawn -->"

Graph = dict[str, set[str]]


def rooms() -> list[str]:
    """Return the rooms, the lowest first, as pyproject.toml orders them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [re.sub(r"[() ]", "", name) for layer in reversed(layers) for name in layer.split("|")]


def files(room: str) -> list[Path]:
    """Return the Python files of a room: one module, or those of a folder."""
    return sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]


def imports() -> Graph:
    """Return from which rooms each room imports when it runs."""
    names = rooms()
    found: Graph = {room: set() for room in names}
    for room in names:
        for file in files(room):
            for node in running(ast.parse(file.read_text("utf-8"))):
                for name in imported(node):
                    if name.startswith("tokenkit.") and (other := name.split(".")[1]) in found and other != room:
                        found[room].add(other)
    return found


def running(tree: ast.AST) -> list[ast.AST]:
    """Return all nodes but those under ``if TYPE_CHECKING``."""
    nodes, left = [], [tree]
    while left:
        node = left.pop()
        nodes.append(node)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        left += node.orelse if typing_only else list(ast.iter_child_nodes(node))
    return nodes


def imported(node: ast.AST) -> list[str]:
    """Return the dotted names that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def direct(graph: Graph) -> Graph:
    """Return the arrows that no longer way says already (the transitive reduction of a graph without circles)."""

    def below(room: str) -> set[str]:
        return graph[room].union(*(below(other) for other in graph[room]))

    return {room: others - set().union(*(below(other) for other in others)) for room, others in graph.items()}


def drawn() -> str:
    """Return the picture: the rooms above the ground, an arrow from each to those that build on it."""
    graph = imports()
    order = rooms()
    ground = order[: order.index("sources")]
    arrows = direct({room: graph[room] - set(ground) for room in order if room not in ground})
    lines = ["```mermaid", "flowchart TB"]
    lines += [f"    {other} --> {room}" for room in arrows for other in sorted(arrows[room], key=order.index)]
    lines += [
        '    subgraph ground ["the ground, used by all"]',
        *(f"        {room}" for room in ground),
        "    end",
        "```",
    ]
    return "\n".join(lines)


def page_with(picture: str) -> str:
    """Return the text of the page with this picture in it."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{picture}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page_with(drawn()), "utf-8")
