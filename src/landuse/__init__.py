"""From labelled satellite tiles to a land-use classifier you can trust."""
