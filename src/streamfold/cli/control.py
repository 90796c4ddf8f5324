"""Control characters made visible, so that a model's words never steer a terminal.

In      text from a stream, a file name or a server
Out     the same text, where each C0 control but newline and tab, DEL and each C1 control is a picture of itself
Source  ECMA-48; Unicode block "Control Pictures"
"""

__all__ = ["without_controls"]

FIRST_PICTURE, PICTURE_OF_DEL, REPLACEMENT = 0x2400, 0x2421, 0xFFFD

PICTURES = {
    **{code: FIRST_PICTURE + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: PICTURE_OF_DEL,
    **dict.fromkeys(range(0x80, 0xA0), REPLACEMENT),  # C1 controls have no pictures
}


def without_controls(text: str) -> str:
    """The text with nothing in it that a terminal would obey, newline and tab apart."""
    return text if text.isprintable() else text.translate(PICTURES)
