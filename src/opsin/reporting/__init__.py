"""The report: an honest account of what a model can do and what it cannot, as a page, as text, and as data."""

from opsin.reporting.account import SECONDS, Account, account
from opsin.reporting.files import write, write_text
from opsin.reporting.page import page
from opsin.reporting.text import text

__all__ = ["SECONDS", "Account", "account", "page", "text", "write", "write_text"]
