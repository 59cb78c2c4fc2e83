"""Attribution: who labels or does something and why, fit to be stored and printed.

A label, an action and a saved setting each have both. What a person types may hold a secret that was pasted.
"""

import getpass

from tokenkit.errors import InputError
from tokenkit.sources.fields.masking import tidy_text


def person(who: str) -> str:
    """Who acts, fit to be stored; by default the user of the operating system.

    Raises
    ------
    InputError
        Nobody is named, and the process has no user name.

    Examples
    --------
    >>> person(" ana ")
    'ana'
    """
    try:
        return tidy_text(who.strip(), 80) or getpass.getuser()
    except (KeyError, OSError) as error:
        raise InputError("this process has no user name. Name who acts: --who NAME") from error


def reason(why: str) -> str:
    """Why, fit to be stored: a secret that was pasted is masked.

    Raises
    ------
    InputError
        It is empty.

    Examples
    --------
    >>> reason("seen in ticket 12, token=abc123")
    'seen in ticket 12, token=[masked]'
    """
    if not why.strip():
        raise InputError("no reason is given. Say why, for whoever reads it next: --why REASON")
    return tidy_text(why.strip(), 500)
