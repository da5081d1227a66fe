"""Every example in a docstring of the package does what it says."""

import ast
import doctest
import importlib

import pytest
from layers import MODULES, TREES

PARSER = doctest.DocTestParser()


def examples(trees):
    """The docstrings with examples, by module and name; read from source, nothing is imported."""
    for module, tree in trees.items():
        for name, docstring in docstrings(tree, module):
            if ">>>" in docstring:
                yield module, name, docstring


def docstrings(node, name):
    """The docstrings in a tree, with the dotted names of what they belong to."""
    docstring = ast.get_docstring(node)
    if docstring:
        yield name, docstring
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from docstrings(child, f"{name}.{child.name}")


def run(module, name, docstring):
    """Runs a docstring's examples with its module's names; returns what came out wrong."""
    names = dict(vars(importlib.import_module(module)))
    test = PARSER.get_doctest(docstring, names, name, str(MODULES.get(module)), 0)
    said = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    return "".join(said)


EXAMPLES = list(examples(TREES))


@pytest.mark.parametrize("example", EXAMPLES, ids=[name for _, name, _ in EXAMPLES])
def test_an_example_says_what_comes_out(example):
    assert run(*example) == ""


def test_no_example_is_missed():
    assert len(EXAMPLES) >= 60
    written = sum(f.read_text().count(">>> ") for f in MODULES.values())
    assert sum(len(PARSER.get_examples(docstring)) for _, _, docstring in EXAMPLES) == written


def test_a_wrong_example_is_seen():
    tree = ast.parse(
        'class A:\n    def f(self):\n        """F.\n\n        >>> 1 + 1\n        3\n        """'
    )
    (example,) = examples({"genlab.errors": tree})
    assert example[1] == "genlab.errors.A.f"
    assert "Expected:\n    3\nGot:\n    2" in run(*example)
