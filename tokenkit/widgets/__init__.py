"""Widgets: pick a token, tune the budget, answer incidents, search a table, in a notebook.

Every action is also a function call, which is shown beside it. Where nobody can operate a widget (papermill, nbconvert)
its static equivalent is shown. Text from data is escaped wherever it becomes HTML.
"""

from tokenkit.widgets.tables import Table, table
from tokenkit.widgets.token_picker import TokenPicker, pick_token
from tokenkit.widgets.triage import Triage, triage
from tokenkit.widgets.tuner import Tuner, tune_budget

__all__ = ["Table", "TokenPicker", "Triage", "Tuner", "pick_token", "table", "triage", "tune_budget"]
